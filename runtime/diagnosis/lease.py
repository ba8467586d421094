"""Finds the processes of this container that hold a lease (runtime/README.md, "A lease")."""

import os
from pathlib import Path

from .finding import Finding


def holders(generation: Path, proc: Path = Path("/proc")) -> list[int]:
    """Return the processes that hold a lock on a generation's folder, as far as this user may look.

    Args:
        generation: The generation's folder.
        proc: Where the kernel lists processes.

    Returns:
        Their IDs.
    """
    try:
        wanted = generation.stat()
    except OSError:
        return []
    return [
        int(process.name)
        for process in sorted(proc.glob("[0-9]*"), key=lambda path: int(path.name))
        if process.name != str(os.getpid()) and _holds(process, (wanted.st_dev, wanted.st_ino))
    ]


def _holds(process: Path, folder: tuple[int, int]) -> bool:
    try:
        for descriptor in (process / "fd").iterdir():
            status = descriptor.stat()
            if (status.st_dev, status.st_ino) == folder:
                text = (process / "fdinfo" / descriptor.name).read_text()
                if "FLOCK" in text:
                    return True
    except OSError:
        pass  # the process has ended, or is another user's
    return False


def check_lease(generation: Path | None, wanted: str, proc: Path = Path("/proc")) -> Finding:
    """Report whether the generation is leased by a process of this container.

    Args:
        generation: The generation's folder; None if nothing is activated.
        wanted: MONOBASE_LEASE.
        proc: Where the kernel lists processes.

    Returns:
        What was found.
    """
    if generation is None:
        return Finding("lease", "note", "nothing is activated")
    found = holders(generation, proc)
    if found:
        return Finding("lease", "ok", f"on {generation.name}, of process {', '.join(map(str, found))}")
    if wanted != "1":
        return Finding(
            "lease", "note", f"none on {generation.name}, as MONOBASE_LEASE is not 1: the node may prune it",
            ("Set MONOBASE_LEASE=1 for processes that start through the entrypoint.",),
        )  # fmt: skip
    return Finding(
        "lease",
        "warning",
        f"none on {generation.name} that this user can see, although MONOBASE_LEASE=1",
        (
            "Does the model start through the entrypoint (/opt/monobase/exec), with `flock` on the PATH?",
            "A sandbox (gVisor) may hide locks; so may processes of another user.",
        ),
    )
