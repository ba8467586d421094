"""One daemon for a prefix: a lock that `run` holds for its life, beside the writer's lock of each install.

A daemon of another release may want another range. Two that took turns would move `latest` to and fro, and
one would prune what the other installs. So the second one waits, and takes over when the first one ends.
"""

import fcntl
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from daemon.errors import DiskError
from daemon.prefix import Prefix

_POLL_S = 0.2


@contextmanager
def service_lock(prefix: Prefix, stop: threading.Event, say: Callable[[str], None]) -> Iterator[bool]:
    """Be the one daemon of a prefix.

    Args:
        prefix: The prefix; its folders exist.
        stop: Set when the wait should end without the lock.
        say: Told once who holds the lock, when there is a wait.

    Yields:
        Whether the lock is held; False when it was told to stop before.

    Raises:
        DiskError: The lock file cannot be opened.
    """
    path = prefix.generations / ".service-lock"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise DiskError(f"{path}: cannot be opened for writing: {error.strerror}") from error
    try:
        held = _wait(descriptor, stop, say)
        if held:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
        yield held
    finally:
        os.close(descriptor)


def _wait(descriptor: int, stop: threading.Event, say: Callable[[str], None]) -> bool:
    told = False
    while not stop.is_set():
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not told:
                holder = os.pread(descriptor, 200, 0).decode(errors="replace").strip() or "another process"
                say(f"waiting for the daemon {holder} to end")
                told = True
            stop.wait(_POLL_S)
        else:
            return True
    return False
