"""Tells whether a process waits for another to give up a lease on a file (fcntl(2), `F_SETLEASE`).

Whoever owns a file, as root in a container owns root's, may take a lease on it over a read-only mount, in the
moment between its making and its opening for writing. The kernel then holds up the writer for
`/proc/sys/fs/lease-break-time`, 45 s by default, for each such file.
"""

from pathlib import Path

_WAITS_IN = "break_lease"


def waits_for_a_lease(pid: int) -> bool:
    """Return whether a thread of a process waits in the kernel for a lease to be given up.

    Args:
        pid: The process.

    Returns:
        Whether one does; False where the kernel does not say what a process waits in (`/proc/PID/wchan`).
    """
    return any(_WAITS_IN in _read(path) for path in Path(f"/proc/{pid}/task").glob("*/wchan"))


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:  # the thread has ended, or the kernel does not tell
        return ""
