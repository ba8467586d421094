"""Compares the wheels in uv's cache with their inventories, byte for byte.

An archive of the cache shares its inodes with every environment that holds the wheel: a write to one of those
is a write to the archive. So a wheel that is used again is read again, before anything is made of it.
"""

from collections.abc import Callable, Iterable

from daemon.errors import DamageError
from daemon.host.known_contents import KnownContents
from daemon.prefix.archive_comparison import archive_differences
from daemon.prefix.inventory import inventory_path, read_inventory
from daemon.prefix.mending import remove_anything
from daemon.prefix.prefix import Prefix
from daemon.prefix.tree_check import trusted_owners
from daemon.uv.cache import drop_wheel, find_archive
from gens.errors import MonobaseError
from gens.lock import LockedWheel


def drop_damaged_wheels(
    prefix: Prefix, wheels: Iterable[LockedWheel], known: KnownContents, warn: Callable[[str], None]
) -> dict[str, MonobaseError]:
    """Read the wheels of uv's cache that are to be used again, and drop the damaged ones.

    Args:
        prefix: The prefix.
        wheels: The wheels.
        known: The contents that the run has read.
        warn: Called with the reason for each wheel that is dropped.

    Returns:
        The wheels that cannot be used, by digest: a newer release wrote their inventories.
    """
    unusable: dict[str, MonobaseError] = {}
    owners = trusted_owners(prefix)
    for wheel in wheels:
        archive = find_archive(prefix.uv_cache, wheel)
        try:
            inventory = read_inventory(prefix, wheel.sha256)
        except DamageError as error:
            warn(f"{error}; it is now written again")
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
                f"{wheel.filename}: its copy in uv's cache is damaged ({len(differences)} files, "
                f"such as {differences[0]}); it is now downloaded again"
            )
            drop_wheel(prefix.uv_cache, wheel)
    return unusable
