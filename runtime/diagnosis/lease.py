"""Finds the processes of this container that hold a lease (runtime/README.md, "A lease")."""

import os
from collections.abc import Iterable
from pathlib import Path

from .finding import Finding


def holders(folders: Iterable[Path], proc: Path = Path("/proc")) -> dict[int, Path]:
    """Find the processes that hold a lock on a folder, as far as this user may look.

    Args:
        folders: The folders.
        proc: Where the kernel lists processes.

    Returns:
        The folder by ID of the process.
    """
    wanted = {(folder.stat().st_dev, folder.stat().st_ino): folder for folder in folders if folder.is_dir()}
    found = {}
    for process in sorted(proc.glob("[0-9]*"), key=lambda path: int(path.name)):
        if process.name != str(os.getpid()):
            held = _held(process, wanted)
            if held is not None:
                found[int(process.name)] = held
    return found


def _held(process: Path, wanted: dict[tuple[int, int], Path]) -> Path | None:
    try:
        for descriptor in (process / "fd").iterdir():
            status = descriptor.stat()
            folder = wanted.get((status.st_dev, status.st_ino))
            if folder is not None and "FLOCK" in (process / "fdinfo" / descriptor.name).read_text():
                return folder
    except OSError:
        pass  # the process has ended, or is another user's
    return None


def check_lease(
    generation: Path | None, environment: Path | None, wanted: str, proc: Path = Path("/proc")
) -> Finding:
    """Report whether a process of this container leases what is activated.

    Args:
        generation: The generation's folder; None if there is none.
        environment: The environment's folder, on which a model has its lease if the node evicts environments.
        wanted: MONOBASE_LEASE.
        proc: Where the kernel lists processes.

    Returns:
        What was found.
    """
    if generation is None:
        return Finding("lease", "note", "nothing is activated")
    found = holders([folder for folder in (generation, environment) if folder is not None], proc)
    if found:
        leased = ", ".join(f"{folder.name} by process {process}" for process, folder in found.items())
        return Finding("lease", "ok", leased)
    if wanted != "1":
        return Finding(
            "lease",
            "note",
            f"none on {generation.name}, as MONOBASE_LEASE is not 1: the node may prune it",
            ("Set MONOBASE_LEASE=1 for processes that start through the entrypoint.",),
        )
    return Finding(
        "lease",
        "warning",
        f"none on {generation.name} that this user can see, although MONOBASE_LEASE=1",
        (
            "Does the model start through the entrypoint (/opt/monobase/exec), with `flock` on the PATH?",
            "A sandbox (gVisor) may hide locks; so may processes of another user.",
        ),
    )
