"""Checks the wheels of local folders: one with the right name must be the one that the lock names."""

import hashlib
import stat
import zipfile
from collections.abc import Iterable
from pathlib import Path

from layers.errors import LayerPlaceError, LayerWheelError
from layers.lock import LayerLock

_CHUNK_BYTES = 1 << 20


def check_folders(lock: LayerLock, folders: Iterable[Path], built: Path | None) -> tuple[Path, ...]:
    """Check the wheels of folders that the lock names.

    Args:
        lock: The lock.
        folders: The folders.
        built: The folder of the wheels that were built for the lock (`wheels_directory`), or None.

    Returns:
        The folders that exist, absolute.

    Raises:
        LayerPlaceError: One of `folders` is not a directory.
        LayerWheelError: A wheel differs from the lock, has a member that leaves it or is a link, or one that
            was built is missing.
    """
    found = []
    for folder in folders:
        if not folder.is_dir():
            raise LayerPlaceError(f"{folder}: is not a directory; name a folder with wheels")
        found.append(folder.absolute())
    if built is not None and built.is_dir():
        found.append(built.absolute())
    for wheel in lock.wheels:
        for folder in found:
            path = folder / wheel.filename
            if path.is_file():
                _check(path, wheel.sha256)
                _check_members(path)
    by_name = {wheel.name: wheel for wheel in lock.wheels}
    for one in lock.built:
        filename = by_name[one.name].filename
        if not any((folder / filename).is_file() for folder in found):
            where = "" if built is None else f" from {built}"
            raise LayerWheelError(
                f"{filename}: is missing{where}: it was built from {one.source} when the lock was made, and "
                "is on no index; copy the folder beside the lock, or lock again"
            )
    return tuple(found)


def _check(path: Path, expected: str) -> None:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    if digest.hexdigest() != expected:
        raise LayerWheelError(
            f"{path}: is not the wheel that the lock names: expected sha256:{expected}, found "
            f"sha256:{digest.hexdigest()}; copy the right one, or lock again"
        )


def _check_members(path: Path) -> None:
    """Refuse what uv leaves out without a word, and links, of which it makes files."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError):
        return  # uv says what is wrong with it
    for member in members:
        name = member.orig_filename
        if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/"):
            raise LayerWheelError(f"{path}: has {name!r}, which leads out of it; lock another version")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise LayerWheelError(f"{path}: has {name!r}, which is a link; wheels have none: build it again")
