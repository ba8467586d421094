"""Removes what has a final name: a folder is renamed into the staging folder first.

So a name never stands for half of a tree. A kill after the rename leaves the rest in the staging folder, and
the next writer removes it (`remove_leftovers`). Where there is no staging folder, an environment or an unused
tree takes its place: a full disk has no room for a new folder, and must not keep anybody from making room.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from daemon.errors import DamageError
from daemon.host.durability import sync_directory
from daemon.host.fault import fault_point
from daemon.host.modes import make_folder
from daemon.host.removal import LinkCount, remove, walk
from daemon.host.system_error import is_full_disk
from daemon.prefix.environments_file import list_as_missing, restore_list
from daemon.prefix.latest import latest_name
from daemon.prefix.lease import leasable_folders, reserve_all
from daemon.prefix.prefix import Prefix
from daemon.prefix.publication import open_mark, unseal
from daemon.prefix.staging import begin_staging, temporary_path
from daemon.prefix.writer_lock import WriterLock


def retire(writer: WriterLock, name: str) -> bool:
    """Rename a generation into the staging folder, unless a model leases it.

    Call `sync_names` after the last one: then no power loss brings them back.

    Args:
        writer: The right to write to the prefix.
        name: Name of the generation.

    Returns:
        Whether it is retired; False when a model has a lease on it.

    Raises:
        ValueError: `latest` names it: models that ask for no generation use it.
        PrefixInUseError: Another process may be the writer by now.
    """
    writer.check()
    if latest_name(writer.prefix) == name:
        raise ValueError(f"{name}: `latest` names it, so it stays")
    directory = writer.prefix.generation(name)
    with reserve_all(leasable_folders(directory)) as is_reserved:
        if is_reserved:
            directory.rename(writer.prefix.staging / name)
    return is_reserved


@dataclass(frozen=True, slots=True)
class RetiredEnvironment:
    """An environment that was retired, and is to be removed.

    Attributes:
        generation: Name of its generation.
        tree: Where it is now.
        unlisted: The list of its generation, where a full disk had no room for it.
    """

    generation: str
    tree: Path
    unlisted: bytes | None = None


def retire_environment(writer: WriterLock, generation: str, name: str) -> RetiredEnvironment | None:
    """Rename an environment into the staging folder, unless a model leases it.

    A generation without one of its environments is not sealed as a whole, so its mark names the others first.
    Then the list calls the environment missing, and only then it loses its name. The rest of the generation
    stays sealed and in use; the next install closes its mark. On a full disk, there may be neither a mark nor
    a list until the environment is removed.

    Args:
        writer: The right to write to the prefix. Without a staging folder, nothing else may be retired until
            this is removed.
        generation: Name of the generation.
        name: Name of the environment.

    Returns:
        What to remove; None when a model leases the environment or its generation.

    Raises:
        PrefixInUseError: Another process may be the writer by now.
    """
    writer.check()
    directory = writer.prefix.generation(generation)
    away = _away(writer.prefix, f"removed.{generation}.{name}")
    with reserve_all([directory, directory / name]) as is_reserved:
        if not is_reserved:
            return None
        _unseal_one(writer, generation, name)
        fault_point("evict:unsealed")
        unlisted = list_as_missing(writer.prefix, generation, name)
        fault_point("evict:listed")
        writer.check()
        (directory / name).rename(away)
        sync_directory(directory)
    return RetiredEnvironment(generation, away, unlisted)


def unlink_toolkit(writer: WriterLock, generation: str, name: str) -> LinkCount | None:
    """Remove a generation's link to a toolkit, unless a model leases the generation or an environment of it.

    The toolkit stays below `cuda/`: other generations may link to it (`remove_unused`).

    Args:
        writer: The right to write to the prefix.
        generation: Name of the generation.
        name: Name of the toolkit in the generation.

    Returns:
        What that freed; None when a model may use the toolkit.

    Raises:
        PrefixInUseError: Another process may be the writer by now.
    """
    writer.check()
    directory = writer.prefix.generation(generation)
    with reserve_all(leasable_folders(directory)) as is_reserved:
        if not is_reserved:
            return None
        _unseal_one(writer, generation, name)
        unlisted = list_as_missing(writer.prefix, generation, name)
        return remove_evicted(writer, RetiredEnvironment(generation, directory / name, unlisted))


def remove_evicted(writer: WriterLock, retired: RetiredEnvironment) -> LinkCount:
    """Remove a retired environment, write the list that waits for the room, and return what that freed."""
    writer.check()
    freed = remove([str(retired.tree)])
    if retired.unlisted is not None:
        writer.check()
        restore_list(writer.prefix, retired.generation, retired.unlisted)
    return freed


def _unseal_one(writer: WriterLock, generation: str, name: str) -> None:
    """Remove one environment from the mark of its generation, which stays open.

    A damaged mark, or one for which a full disk has no room, goes as a whole: what it sealed is read again
    before the next install seals it.
    """
    try:
        open_mark(writer, generation, {name})
    except DamageError:
        unseal(writer, generation)
    except OSError as error:
        if not is_full_disk(error):
            raise
        unseal(writer, generation)


def _away(prefix: Prefix, name: str) -> Path:
    """Return where a tree goes: into the staging folder, or in its place where there is none."""
    return prefix.staging / name if prefix.staging.is_dir() else prefix.staging


def sync_names(prefix: Prefix) -> None:
    """Write the names of the generations to the disk."""
    sync_directory(prefix.generations)


def remove_retired(writer: WriterLock, name: str) -> LinkCount:
    """Remove a retired generation, and return what that freed."""
    writer.check()
    return remove([str(writer.prefix.staging / name)])


def remove_unused(writer: WriterLock, path: str) -> LinkCount:
    """Remove a file, a link or a tree that nothing uses, and return what that freed.

    Raises:
        PrefixInUseError: Another process may be the writer by now.
    """
    writer.check()
    if not os.path.isdir(path) or os.path.islink(path):  # noqa: PTH112, PTH114 (there are many)
        return remove([path])
    away = _away(writer.prefix, f"removed.{Path(path).name}")
    Path(path).rename(away)
    sync_directory(Path(path).parent)
    return remove([str(away)])


def remove_tree(writer: WriterLock, tree: Path) -> None:
    """Remove a tree that no generation uses.

    Raises:
        PrefixInUseError: Another process may be the writer by now.
    """
    writer.check()
    away = temporary_path(writer.prefix.staging)
    tree.rename(away)
    remove([str(away)])


def empty_uv_cache(writer: WriterLock) -> int:
    """Remove everything in uv's cache, and the contents that nothing else links then.

    Needs a prefix without a staging folder, which it makes and removes.

    Returns:
        The bytes that were freed.

    Raises:
        PrefixInUseError: Another process may be the writer by now.
    """
    prefix = writer.prefix
    begin_staging(prefix)
    if prefix.uv_cache.exists():
        writer.check()
        prefix.uv_cache.rename(prefix.staging / "cache")
    make_folder(prefix.uv_cache)
    sync_directory(prefix.uv_cache.parent)
    freed = remove([str(prefix.staging)])
    return freed.freed_bytes + remove(list(_unlinked_contents(prefix))).freed_bytes


def _unlinked_contents(prefix: Prefix) -> Iterator[str]:
    for path, status, is_folder in walk(str(prefix.files)):
        if not is_folder and status.st_nlink == 1:
            yield path
