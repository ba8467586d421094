"""Leases: a running model shows that it uses a generation, so that prune keeps it.

A lease is a shared flock(2) on the folder of the generation. It needs no write access, so it works on a
read-only mount of the same node; it ends with the process that holds it, however that ends; and it leaves no
file. A model takes one with `exec 9< /srv/r8/monobase/monobase/g00003 && flock -s 9`.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

_NAMED = 5


def reserve(directory: Path) -> int | None:
    """Check that nobody leases a generation, and keep everybody from leasing it.

    Args:
        directory: The folder of the generation.

    Returns:
        A descriptor to close when the folder has gone; None when there is a lease.
    """
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def is_leased(directory: Path) -> bool:
    """Return whether a generation is leased now."""
    descriptor = reserve(directory)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False


def describe_lease(directory: Path) -> str:
    """Return that a generation is leased, and by whom as far as the kernel tells.

    Args:
        directory: The folder of the generation.

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
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)
