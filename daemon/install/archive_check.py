"""Whether the wheels that uv's cache holds already are what their inventories say, to the byte.

An archive of the cache shares its inodes with every environment that holds the wheel: whoever writes to one
of those has written to the archive. So a wheel that is used again is read again, before anything is made of
it.
"""

import stat
from collections.abc import Callable, Container, Iterable
from pathlib import Path

from daemon.errors import DamageError
from daemon.host.known_contents import KnownContents
from daemon.host.tree_walk import walk_files
from daemon.prefix.inventory import Inventory, inventory_path, read_inventory
from daemon.prefix.mending import remove_anything
from daemon.prefix.prefix import Prefix
from daemon.prefix.tree_check import trusted_owners
from daemon.uv.cache import drop_wheel, find_archive
from gens.errors import MonobaseError
from gens.lock import LockedWheel


def drop_damaged_wheels(
    prefix: Prefix, wheels: Iterable[LockedWheel], known: KnownContents, warn: Callable[[str], None]
) -> dict[str, MonobaseError]:
    """Read the wheels of uv's cache that are to be used again, and drop those that are not what they were.

    Args:
        prefix: The prefix.
        wheels: The wheels.
        known: What this run has read.
        warn: Told of each wheel that is dropped.

    Returns:
        The wheels that cannot be used, by digest: a newer monobase has written their inventories.
    """
    unusable: dict[str, MonobaseError] = {}
    owners = trusted_owners(prefix)
    for wheel in wheels:
        archive = find_archive(prefix.uv_cache, wheel)
        try:
            inventory = read_inventory(prefix, wheel.sha256)
        except DamageError as error:
            warn(f"{error}; it is made anew now")
            remove_anything(inventory_path(prefix, wheel.sha256))
            continue
        except MonobaseError as error:
            unusable[wheel.sha256] = error
            continue
        if archive is None or inventory is None:
            continue
        differences = archive_differences(archive, inventory, known, owners)
        if differences:
            warn(
                f"{wheel.filename}: its copy in uv's cache is not what it was ({len(differences)} files, "
                f"such as {differences[0]}); it is dropped, and brought anew"
            )
            drop_wheel(prefix.uv_cache, wheel)
    return unusable


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
