"""Leases: a running model shows what it uses, so that it is neither pruned nor evicted.

A lease is a shared flock(2) on the folder of an environment, or on that of a generation, which stands for all
of its environments. It needs no write access, so it works on a read-only mount of the same node; it ends with
the process that holds it, however that ends; and it leaves no file. A model takes one with
`exec 9< /srv/r8/monobase/monobase/g00003 && flock -s 9`.

A model holds one lock: on its environment if the prefix has the file `monobase/.environment-leases`, else on
its generation. A daemon that evicts environments makes that file. Models of older releases know only the lock
on the generation, and so do older daemons, which would prune what only leases on environments hold.
"""

import fcntl
import os
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from daemon.host.durability import DAEMON_SUFFIX, write_if_changed
from daemon.prefix.prefix import Prefix

_NAMED = 5
_ENVIRONMENT_LEASES = ".environment-leases"
# Who looks whether a folder is leased has it for itself for a moment, and is no model.
_PAUSES_BESIDE_A_LOOK_S = (0.001, 0.005, 0.02)
_PAUSES_BESIDE_A_LEASE_S = (0.0005, 0.0005)
_ONE_THREAD_LOOKS = threading.Lock()


def offer_environment_leases(prefix: Prefix) -> None:
    """Allow models to lease their environments instead of whole generations.

    Args:
        prefix: The prefix; its folders exist.
    """
    write_if_changed(prefix.generations / _ENVIRONMENT_LEASES, b"", DAEMON_SUFFIX)


def withdraw_environment_leases(prefix: Prefix) -> None:
    """Stop offering leases on environments; running models keep theirs, others lease whole generations."""
    (prefix.generations / _ENVIRONMENT_LEASES).unlink(missing_ok=True)


def reserve(directory: Path) -> int | None:
    """Check that nobody leases a folder, and keep everybody from leasing it.

    Args:
        directory: The folder of a generation or of an environment.

    Returns:
        A descriptor to close when the folder has gone; None when there is a lease.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with _ONE_THREAD_LOOKS:
        if _lock(descriptor, fcntl.LOCK_EX) or _lock_beside_others(descriptor):
            return descriptor
    os.close(descriptor)
    return None


def is_leased(directory: Path) -> bool:
    """Return whether there is a lease on this very folder now."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with _ONE_THREAD_LOOKS:
        try:
            return not (_lock(descriptor, fcntl.LOCK_EX) or _lock_beside_others(descriptor))
        finally:
            os.close(descriptor)


@contextmanager
def reserve_all(directories: list[Path]) -> Iterator[bool]:
    """Keep everybody from leasing some folders for as long as the block lasts, if nobody leases one.

    Yields:
        Whether they are reserved; False when there is a lease on one of them.
    """
    with ExitStack() as stack:
        for directory in directories:
            descriptor = reserve(directory)
            if descriptor is None:
                yield False
                return
            stack.callback(os.close, descriptor)
        yield True


def leasable_folders(generation: Path) -> list[Path]:
    """Return the folders whose leases keep a generation: its own, and those of its environments."""
    found = [entry for entry in os.scandir(generation) if entry.is_dir(follow_symlinks=False)]
    return [generation, *(Path(entry.path) for entry in sorted(found, key=lambda entry: entry.name))]


def leased_folder(generation: Path) -> Path | None:
    """Return a folder of a generation that is leased now; None when there is none."""
    for folder in leasable_folders(generation):
        with suppress(FileNotFoundError):  # it was removed meanwhile
            if is_leased(folder):
                return folder
    return None


def describe_lease(directory: Path) -> str:
    """Return that a generation or an environment is leased, and by whom as far as the kernel tells.

    Args:
        directory: Its folder.

    Returns:
        Such as `a model has leased it: process 12 (python)`.
    """
    processes = sorted(_holders(directory))
    who = ", ".join(f"process {number} ({_name(number)})" for number in processes[:_NAMED])
    if len(processes) > _NAMED:
        who += f" and {len(processes) - _NAMED} more"
    if not who:
        who = "which process cannot be told from here: it is in another PID namespace, or another user's"
    if _is_held_alone(directory):
        return f"a process has it for itself (flock -x), so that no model can lease it: {who}"
    return f"a model has leased it: {who}"


def _lock(descriptor: int, operation: int) -> bool:
    """Try to lock, without waiting."""
    try:
        fcntl.flock(descriptor, operation | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _lock_beside_others(descriptor: int) -> bool:
    """Try again for as long as other processes may only be looking; they are of the same kind as this one.

    A shared lock can be had beside a lease, and not beside who looks: for the latter a longer wait is right.
    """
    beside_a_lease = _lock(descriptor, fcntl.LOCK_SH)
    fcntl.flock(descriptor, fcntl.LOCK_UN)
    for pause_s in _PAUSES_BESIDE_A_LEASE_S if beside_a_lease else _PAUSES_BESIDE_A_LOOK_S:
        time.sleep(pause_s)
        if _lock(descriptor, fcntl.LOCK_EX):
            return True
    return False


def _holders(directory: Path) -> set[int]:
    """Return the processes of this PID namespace that have a lock on a folder.

    `/proc/locks` names the process that took it, which with `flock 9` has ended; so each is asked.
    """
    try:
        wanted = directory.stat()
    except OSError:
        return set()
    found = set()
    for process in _processes():
        with suppress(OSError):  # it ended meanwhile, or is another user's
            for descriptor in os.scandir(f"/proc/{process}/fd"):
                with suppress(OSError):
                    status = os.stat(descriptor.path)  # noqa: PTH116 (there are many)
                    if (status.st_ino, status.st_dev) == (wanted.st_ino, wanted.st_dev):
                        facts = Path(f"/proc/{process}/fdinfo/{descriptor.name}").read_text(errors="replace")
                        if "FLOCK" in facts:
                            found.add(process)
    return found


def _processes() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]  # noqa: PTH208 (names are wanted)
    except OSError:
        return []


def _name(process: int) -> str:
    try:
        return ascii(Path(f"/proc/{process}/comm").read_text(errors="replace").strip())[1:-1]
    except OSError:
        return "ended"


def _is_held_alone(directory: Path) -> bool:
    try:
        descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not _lock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)
