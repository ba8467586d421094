"""A lock on the folder of the venv itself, which needs neither a file nor write access."""

import contextlib
import errno
import fcntl
import os
import time
from collections.abc import Iterator
from pathlib import Path

from .errors import PreparationError
from .log import log

LOCK_WAIT_S = 120.0
_REFUSED = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, errno.EBADF, errno.EINVAL}


@contextlib.contextmanager
def locked(venv: Path, wait_s: float) -> Iterator[None]:
    """Lock a venv, so that one process at a time prepares it.

    On a file system without locks, nobody waits.

    Args:
        venv: The venv.
        wait_s: How long to wait for another process.

    Raises:
        PreparationError: Another process has kept the lock for longer.
    """
    descriptor = os.open(venv, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _acquire(descriptor, venv, wait_s)
        yield
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, venv: Path, wait_s: float) -> None:
    end = time.monotonic() + wait_s
    told = False
    while not _try(descriptor):
        if time.monotonic() >= end:
            raise PreparationError(
                f"{venv} cannot be prepared: another process has held its lock for {wait_s:.0f} s.",
                "Another start prepares it, or something else has locked the folder (flock).",
            )
        if not told:
            log("warning", f"another start prepares {venv}; waiting up to {wait_s:.0f} s for it")
            told = True
        time.sleep(0.05)


def _try(descriptor: int) -> bool:
    """Return whether there is nothing to wait for: the lock is acquired, or cannot be had here."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _REFUSED:
            raise
    return True
