"""One daemon for a prefix: a lock that `run` holds for its life, beside the writer's lock of each install.

A daemon of another release may want another range. Two that took turns would move `latest` to and fro, and
one would prune what the other installs. So the second one waits, and takes over when the first one ends.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from daemon.host.exclusive_lock import ExclusiveLock, holder_of, try_lock
from daemon.prefix.prefix import Prefix

_POLL_S = 0.2


@contextmanager
def service_lock(
    prefix: Prefix, stop: threading.Event, say: Callable[[str], None]
) -> Iterator[ExclusiveLock | None]:
    """Acquire the service lock of a prefix.

    Args:
        prefix: The prefix; its folders exist.
        stop: Set when the wait should end without the lock.
        say: Told once who holds the lock, when there is a wait.

    Yields:
        The lock, which `is_lost` when somebody removed its file; None when it was told to stop before.

    Raises:
        DiskError: The lock file cannot be opened or locked.
    """
    lock = _wait(prefix, stop, say)
    try:
        yield lock
    finally:
        if lock is not None:
            lock.close()


def _wait(prefix: Prefix, stop: threading.Event, say: Callable[[str], None]) -> ExclusiveLock | None:
    told = False
    while not stop.is_set():
        lock = try_lock(prefix.service_lock_file)
        if lock is not None:
            return lock
        if not told:
            say(f"waiting for the daemon {holder_of(prefix.service_lock_file)} to end")
            told = True
        stop.wait(_POLL_S)
    return None
