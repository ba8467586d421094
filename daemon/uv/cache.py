"""Finds, moves and removes wheels in uv's cache.

uv keeps each unpacked wheel as `archive-v0/ID/`, and beside each link to it,
`wheels-v8/INDEX/NAME/VERSION-TAGS`, a pointer file (`.http`, `.rev`) that holds the wheel's SHA-256. Seen
with uv 0.13.9. Any version of these folders is accepted; an archive counts as found only if its pointer holds
the digest that the lock names.

INDEX is made from the URL of an index. A wheel that was fetched and examined moves to the INDEX of Monobase's
index (`daemon/install/lock_index.py`). uv finds it there whatever the machine's index is called; an archive
whose pointer is elsewhere was not examined yet.
"""

import dataclasses
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from daemon.errors import WheelContentError
from daemon.host.modes import make_folder
from daemon.host.plain_file import read_plain_file
from gens.lock import LockedWheel

_POINTERS = (".http", ".rev")
_OF_AN_INDEX = ".http"  # `.rev` is for a folder, and holds the time of a file
_DIGEST = re.compile(rb"[0-9a-f]{64}")


def find_archive(cache: Path, wheel: LockedWheel) -> Path | None:
    """Find the unpacked wheel in uv's cache.

    Args:
        cache: The folder of the cache.
        wheel: The wheel, as its lock names it.

    Returns:
        The folder of the archive, or None if the cache does not have this very wheel.
    """
    for link, _ in _entries(cache, wheel):
        archive = link.resolve()
        if archive.is_dir():
            return archive
    return None


def fetched_archive(cache: Path, wheel: LockedWheel) -> Path:
    """Return the folder of a wheel that was fetched.

    Args:
        cache: The folder of the cache.
        wheel: The wheel.

    Raises:
        WheelContentError: The cache does not have the wheel.
    """
    archive = find_archive(cache, wheel)
    if archive is None:
        raise WheelContentError(
            f"{wheel.filename}: is not in uv's cache; run the install again, which downloads it"
        )
    return archive


def stands_in(cache: Path, folder: Path, wheel: LockedWheel) -> bool:
    """Return whether uv would find a wheel by an index.

    Args:
        cache: The folder of the cache.
        folder: The folder of the index, relative to the cache.
        wheel: The wheel.
    """
    place = cache / folder / wheel.name
    return any(
        pointer.parent == place and pointer.suffix == _OF_AN_INDEX and link.is_dir()
        for link, pointer in _entries(cache, wheel)
    )


def move_wheel(cache: Path, folder: Path, wheel: LockedWheel) -> Literal["there", "taken", "absent"]:
    """Move a wheel to the folder of another index than the one that it came from.

    Args:
        cache: The folder of the cache.
        folder: The folder of the index, relative to the cache.
        wheel: The wheel; the cache may hold it several times, of which one moves.

    Returns:
        `there` if it is in that folder now, `taken` if another wheel of the same file name is, `absent` if
        the cache does not have it, or only from a folder.
    """
    if stands_in(cache, folder, wheel):
        return "there"
    for link, pointer in _entries(cache, wheel):
        archive = link.resolve()
        if pointer.suffix != _OF_AN_INDEX or not archive.is_dir():
            continue
        target = cache / folder / wheel.name / pointer.name
        target_link = target.with_name(link.name)
        if target_link.is_dir() and target.exists():  # complete, and another one by its digest
            return "taken"
        make_folder(target.parent)
        new_link = target.with_name(f".tmp{secrets.token_hex(8)}")
        new_link.symlink_to(os.path.relpath(archive, target.parent.resolve()))
        new_link.rename(target_link)
        pointer.rename(target)
        link.unlink(missing_ok=True)
        return "there"
    return "absent"


def in_the_way(cache: Path, wheel: LockedWheel) -> list[LockedWheel]:
    """Return other wheels that the cache has under the file name of one: some index once served them.

    uv would take such a wheel for the one that the index has now.

    Args:
        cache: The folder of the cache.
        wheel: The wheel that is to be fetched.
    """
    stem = wheel.filename.removesuffix(".whl").partition("-")[2]
    digests: dict[str, None] = {}
    for _, pointer in _pointers(cache, wheel.name):
        content = _content(pointer)
        if wheel.filename.encode() in content or pointer.stem == stem:
            digests |= dict.fromkeys(digest.decode() for digest in _DIGEST.findall(content))
    return [
        dataclasses.replace(wheel, sha256=digest, size_bytes=0)
        for digest in digests
        if digest != wheel.sha256
    ]


def drop_wheel(cache: Path, wheel: LockedWheel) -> bool:
    """Remove a wheel from uv's cache, so that it is downloaded again.

    Args:
        cache: The folder of the cache.
        wheel: The wheel, as its lock names it.

    Returns:
        Whether the cache had it.
    """
    found = False
    for link, pointer in _entries(cache, wheel):
        archive = link.resolve() if link.is_symlink() else None
        pointer.unlink(missing_ok=True)
        link.unlink(missing_ok=True)
        if archive is not None and archive.parent.parent == cache.resolve():
            shutil.rmtree(archive, ignore_errors=True)
        found = True
    return found


@dataclass(frozen=True, slots=True)
class CachedWheel:
    """A wheel of the cache.

    Attributes:
        package: Name of its package.
        paths: Its pointer file, the link beside it and its archive, as far as the cache has them.
        digests: The digests that its pointer file holds.
    """

    package: str
    paths: tuple[Path, ...]
    digests: frozenset[str]


def unused_wheels(cache: Path, used: Set[str]) -> Iterator[CachedWheel]:
    """Yield the wheels of the cache whose digests are not among those in use.

    Args:
        cache: The folder of the cache.
        used: Digests of the wheels in use.
    """
    for package in (*cache.glob("wheels-v*/*/*"), *cache.glob("wheels-v*/index/*/*")):
        if not package.is_dir() or package.is_symlink():
            continue
        for pointer in package.iterdir():
            if pointer.suffix not in _POINTERS or not pointer.is_file():
                continue
            digests = frozenset(digest.decode() for digest in _DIGEST.findall(pointer.read_bytes()))
            if not digests or digests & used:
                continue
            link = pointer.with_name(pointer.name.removesuffix(pointer.suffix))
            archive = link.resolve()
            inside = link.is_symlink() and archive.is_dir() and archive.parent.parent == cache.resolve()
            links = (link,) if os.path.lexists(link) else ()
            paths = (pointer, *links, *([archive] if inside else []))
            yield CachedWheel(package.name, paths, digests)


def holds_wheels(cache: Path) -> bool:
    """Return whether any uv has kept a wheel in the cache."""
    return next(cache.glob("wheels-v*"), None) is not None


def remove_outdated(cache: Path, folder: Path) -> list[str]:
    """Remove wheels that another uv keeps in a form that this one does not read.

    Args:
        cache: The folder of the cache.
        folder: The folder in which this uv keeps the wheels of an index, relative to the cache.

    Returns:
        The names of the removed folders.
    """
    outdated = [path for path in cache.glob("wheels-v*") if path.name != folder.parts[0]]
    for path in outdated:
        shutil.rmtree(path)
    return [path.name for path in outdated]


def remove_leftovers(cache: Path) -> int:
    """Remove files and folders that a killed uv had not completed. No uv may be running on the cache.

    Returns:
        Number of leftovers.
    """
    # Not in the archives: these are complete as soon as they have their name, and hold most of the files.
    buckets = [path for path in cache.glob("*/") if not path.name.startswith(("archive-v", "."))]
    leftovers = [*cache.glob(".tmp*"), *(path for bucket in buckets for path in bucket.rglob(".tmp*"))]
    for path in leftovers:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)  # it may have gone with a folder around it
    return len(leftovers)


def _entries(cache: Path, wheel: LockedWheel) -> list[tuple[Path, Path]]:
    # Look at all wheels of the package: uv shortens long tags, but the digest in a pointer is exact.
    return [entry for entry in _pointers(cache, wheel.name) if wheel.sha256.encode() in _content(entry[1])]


def _pointers(cache: Path, package: str) -> Iterator[tuple[Path, Path]]:
    """Yield the links to the wheels of a package, each with its pointer."""
    for index in (*cache.glob("wheels-v*/*"), *cache.glob("wheels-v*/index/*")):
        for suffix in _POINTERS:
            for pointer in (index / package).glob(f"*{suffix}"):
                yield pointer.with_name(pointer.name.removesuffix(suffix)), pointer


def _content(path: Path) -> bytes:
    try:
        return read_plain_file(path)
    except OSError:  # it was removed meanwhile, or is not a regular file
        return b""
