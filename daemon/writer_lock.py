"""One writer for a prefix: an flock(2), which the kernel gives up when its holder dies."""

import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from daemon.errors import DiskError, PrefixInUseError
from daemon.prefix import Prefix

_POLL_S = 0.1


@contextmanager
def writer_lock(prefix: Prefix, timeout_s: float | None, say: Callable[[str], None]) -> Iterator[int]:
    """Be the one writer of a prefix.

    Args:
        prefix: The prefix; its folders exist.
        timeout_s: How long to wait for another writer; None waits without end, 0 does not wait.
        say: Told once who holds the lock, when there is a wait.

    Yields:
        The descriptor that holds the lock. Children that write to the prefix inherit it, so that one that
        outlives a killed parent keeps the next writer waiting.

    Raises:
        PrefixInUseError: The wait ended before the other writer did.
        DiskError: The lock file cannot be opened.
    """
    try:
        descriptor = os.open(prefix.lock_file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise DiskError(f"{prefix.lock_file}: cannot be opened for writing: {error.strerror}") from error
    try:
        _wait(descriptor, prefix, timeout_s, say)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        yield descriptor
    finally:
        os.close(descriptor)


def _wait(descriptor: int, prefix: Prefix, timeout_s: float | None, say: Callable[[str], None]) -> None:
    end = None if timeout_s is None else time.monotonic() + timeout_s
    told = False
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "another process"
            if end is not None and time.monotonic() >= end:
                raise PrefixInUseError(
                    f"{prefix.root}: {holder} writes to this prefix and did not end within {timeout_s:g} s; "
                    "wait longer with --lock-timeout, or end that process"
                ) from None
            if not told:
                say(f"waiting for {holder}, which writes to {prefix.root}")
                told = True
            time.sleep(_POLL_S)
        else:
            return
