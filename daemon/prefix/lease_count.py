"""Counts the models that lease a folder, as far as the kernel shows their locks.

`/proc/locks` (proc_locks(5)) lists the locks of the processes of this PID namespace and of those below it. A
daemon in a container sees no lock of a model in another one, unless it is in the node's PID namespace.
"""

import os
import re
from collections import Counter
from pathlib import Path

_LOCKS = Path("/proc/locks")
_LEASE = re.compile(r"\d+: FLOCK +\S+ +READ +\S+ (?P<major>[0-9a-f]+):(?P<minor>[0-9a-f]+):(?P<inode>\d+) ")

Leases = dict[tuple[int, int, int], int]
"""Number of shared locks by major and minor number of the device, and inode."""


def visible_leases(locks: Path = _LOCKS) -> Leases:
    """Return the shared locks that the kernel shows; none where it shows none.

    Args:
        locks: The file that lists them.
    """
    try:
        lines = locks.read_text(errors="replace").splitlines()
    except OSError:
        return {}
    found: Counter[tuple[int, int, int]] = Counter()
    for line in lines:
        lease = _LEASE.match(line)
        if lease is not None:
            found[int(lease["major"], 16), int(lease["minor"], 16), int(lease["inode"])] += 1
    return dict(found)


def count_leases(leases: Leases, folder: Path) -> int:
    """Return the number of shared locks on a folder; 0 if none is shown or the folder is gone."""
    try:
        status = folder.stat()
    except OSError:
        return 0
    return leases.get((os.major(status.st_dev), os.minor(status.st_dev), status.st_ino), 0)
