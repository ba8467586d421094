"""One writer for a prefix: a lock that the kernel gives up when its holder dies and that no reader can block.

There are two files, `monobase/.lock` and `.lock` of the prefix itself, and a writer holds both. Somebody who
removes one under a writer lets no second writer in beside it: that one waits for the other file, while the
first one, which looks before each name that it gives (`WriterLock.check`), ends.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from daemon.errors import PrefixInUseError
from daemon.host.exclusive_lock import ExclusiveLock, holder_of, try_lock
from daemon.prefix.machine import claim_machine
from daemon.prefix.prefix import Prefix
from daemon.prefix.uv_locks import private_uv_locks

_POLL_S = 0.1


@dataclass(frozen=True, slots=True)
class WriterLock:
    """The right to write to a prefix.

    Attributes:
        prefix: The prefix.
        locks: The locks that are held.
        uv_locks: What uv locks instead of files that models can open.
    """

    prefix: Prefix
    locks: tuple[ExclusiveLock, ...]
    uv_locks: tuple[int, ...] = ()

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The descriptors that hold the locks.

        Children that write to the prefix inherit them, so that one that outlives a killed parent keeps the
        next writer waiting.
        """
        return (*(lock.descriptor for lock in self.locks), *self.uv_locks)

    def check(self) -> None:
        """Make sure that this is still the one writer; to be called before anything gets its final name.

        Raises:
            PrefixInUseError: Somebody removed or replaced the lock file.
        """
        lost = next((lock for lock in self.locks if lock.is_lost()), None)
        if lost is not None:
            raise PrefixInUseError(
                f"{lost.path}: was removed or replaced while this process held it, so another one may write "
                "to the prefix soon; this one ends, and what it had not finished is not there; leave lock "
                "files alone, they hold nobody up once their process has ended, and run it again"
            )


@contextmanager
def writer_lock(prefix: Prefix, timeout_s: float | None, say: Callable[[str], None]) -> Iterator[WriterLock]:
    """Acquire the writer lock of a prefix.

    Args:
        prefix: The prefix; its folders exist.
        timeout_s: How long to wait for another writer; None waits without end, 0 does not wait.
        say: Told once who holds the lock, when there is a wait.

    Yields:
        The lock.

    Raises:
        ForeignPrefixError: The prefix is that of another machine.
        PrefixInUseError: The wait ended before the other writer did, or the lock was taken away.
        DiskError: A lock file cannot be opened or locked.
    """
    end = None if timeout_s is None else time.monotonic() + timeout_s
    with ExitStack() as stack:
        locks: list[ExclusiveLock] = []
        for path in (prefix.lock_file, prefix.second_lock_file):
            locks.append(_wait(path, prefix, end, timeout_s, say))
            stack.callback(locks[-1].close)
        WriterLock(prefix, tuple(locks)).check()
        claim_machine(prefix)
        writer = WriterLock(prefix, tuple(locks), stack.enter_context(private_uv_locks(prefix)))
        try:
            yield writer
        except PrefixInUseError:
            raise
        except Exception:
            writer.check()  # what went wrong is most likely the doing of the other writer
            raise


def _wait(
    path: Path, prefix: Prefix, end: float | None, timeout_s: float | None, say: Callable[[str], None]
) -> ExclusiveLock:
    told = False
    while (lock := try_lock(path)) is None:
        holder = holder_of(path)
        if end is not None and time.monotonic() >= end:
            raise PrefixInUseError(
                f"{prefix.root}: {holder} writes to this prefix and did not end within {timeout_s:g} s; "
                "wait longer with --lock-timeout, or end that process"
            )
        if not told:
            say(f"waiting for {holder}, which writes to {prefix.root}")
            told = True
        time.sleep(_POLL_S)
    return lock
