"""Compares an unpacked wheel in uv's cache with its inventory."""

import stat
from collections.abc import Container
from pathlib import Path

from daemon.host.known_contents import KnownContents
from daemon.host.tree_walk import walk_files
from daemon.prefix.inventory import Inventory


def archive_differences(
    archive: Path, inventory: Inventory, known: KnownContents, owners: Container[int]
) -> list[str]:
    """Compare an unpacked wheel with its inventory.

    Args:
        archive: The folder of the archive.
        inventory: What the wheel holds.
        known: What this run has read; each inode is read once.
        owners: Who may own a file: others could write to it.

    Returns:
        Paths whose bytes, mode or owner are others, that are missing, or that the wheel did not bring.

    Raises:
        OSError: Something there cannot be read.
    """
    expected = {file.path: file for file in inventory.files}
    base = len(str(archive)) + 1
    differences = []
    to_read = []
    for path, status in walk_files(str(archive)):
        file = expected.pop(path[base:], None)
        if (
            file is None
            or not stat.S_ISREG(status.st_mode)
            or status.st_size != file.size_bytes
            or stat.S_IMODE(status.st_mode) != file.mode
            or status.st_uid not in owners
        ):
            differences.append(path[base:])
        else:
            to_read.append((path, status, file.sha256))
    known.read((path, status) for path, status, _ in to_read)
    differences += [path[base:] for path, status, sha256 in to_read if known.digest(path, status) != sha256]
    return sorted([*differences, *expected])
