"""Leases: a running model says that it uses a generation, so that pruning keeps it.

A lease is a shared flock(2) on the folder of the generation. It needs no write access, so it works on a
read-only mount of the same node; it ends with the process that holds it, however that ends; and it leaves no
file. A model takes one with `exec 9< /srv/r8/monobase/monobase/g00003 && flock -s 9`.
"""

import fcntl
import os
from pathlib import Path


def reserve(directory: Path) -> int | None:
    """Make sure that nobody has a lease on a generation, and that nobody gets one.

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
    """Tell whether somebody has a lease on a generation now."""
    descriptor = reserve(directory)
    if descriptor is None:
        return True
    os.close(descriptor)
    return False
