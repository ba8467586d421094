"""uv's cache, as far as we must look into it: which archive holds a wheel, where it stands, how to drop one.

uv keeps each unpacked wheel as `archive-v0/ID/`, and beside each link to it,
`wheels-v8/INDEX/NAME/VERSION-TAGS`, a pointer file (`.http`, `.rev`) that holds the wheel's SHA-256. Seen
with uv 0.13.9; the versions of the folders are left open here, and an archive counts as found only when
its pointer holds the digest that the lock names.

INDEX is made from the URL of an index. What was brought and examined moves to the INDEX of our own
(`lock_index.py`): uv finds it there whatever the machine's index is called, and a pointer that stands
elsewhere tells that nobody has examined its archive yet.
"""

import dataclasses
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from daemon.errors import WheelContentError
from daemon.host.modes import make_folder
from daemon.host.plain_file import read_plain_file
from gens.lock import LockedWheel

_POINTERS = (".http", ".rev")
_OF_AN_INDEX = ".http"  # `.rev` is that of a folder, and holds the time of a file
_DIGEST = re.compile(rb"[0-9a-f]{64}")


def find_archive(cache: Path, wheel: LockedWheel) -> Path | None:
    """Find the unpacked wheel in uv's cache.

    Args:
        cache: The folder of the cache.
        wheel: The wheel, as its lock names it.

    Returns:
        The folder of the archive, or None when the cache does not hold this very wheel.
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
    """Tell whether uv would find a wheel by an index.

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
    """Let a wheel be found by another index than the one that it came from.

    Args:
        cache: The folder of the cache.
        folder: The folder of the index, relative to the cache.
        wheel: The wheel; the cache may hold it several times, of which one moves.

    Returns:
        Whether it is there now; or whether another wheel of the same file name is; or whether the cache does
        not have it, or only from a folder.
    """
    if stands_in(cache, folder, wheel):
        return "there"
    for link, pointer in _entries(cache, wheel):
        archive = link.resolve()
        if pointer.suffix != _OF_AN_INDEX or not archive.is_dir():
            continue
        target = cache / folder / wheel.name / pointer.name
        target_link = target.with_name(link.name)
        if target_link.is_dir() and target.exists():  # whole, and by its digest another one
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
    """Give other wheels that the cache has under the file name of one, as some index once served them.

    uv would take what its cache has of an index for what the index has now.

    Args:
        cache: The folder of the cache.
        wheel: The wheel that is to be brought.
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
    """Remove a wheel from uv's cache, so that it is brought anew.

    Args:
        cache: The folder of the cache.
        wheel: The wheel, as its lock names it.

    Returns:
        Whether there was something to remove.
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
class UnusedWheel:
    """A wheel of the cache that nobody needs.

    Attributes:
        package: Name of its package.
        paths: Its pointer file, the link beside it and its archive, as far as the cache has them.
    """

    package: str
    paths: tuple[Path, ...]


def unused_wheels(cache: Path, used: set[str]) -> Iterator[UnusedWheel]:
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
            digests = {digest.decode() for digest in _DIGEST.findall(pointer.read_bytes())}
            if not digests or digests & used:
                continue
            link = pointer.with_name(pointer.name.removesuffix(pointer.suffix))
            archive = link.resolve()
            inside = link.is_symlink() and archive.is_dir() and archive.parent.parent == cache.resolve()
            links = (link,) if os.path.lexists(link) else ()
            yield UnusedWheel(package.name, (pointer, *links, *([archive] if inside else [])))


def remove_outdated(cache: Path, folder: Path) -> list[str]:
    """Remove what another uv has kept in a form that this one does not read.

    Args:
        cache: The folder of the cache.
        folder: Where this uv keeps the wheels of an index, relative to the cache.

    Returns:
        The names of the folders that there were.
    """
    outdated = [path for path in cache.glob("wheels-v*") if path.name != folder.parts[0]]
    for path in outdated:
        shutil.rmtree(path)
    return [path.name for path in outdated]


def remove_leftovers(cache: Path) -> int:
    """Remove what a killed uv left half-unpacked or half-written. No uv may be running on the cache.

    Returns:
        How many leftovers there were.
    """
    # Not in the archives: those are complete when they have their name, and hold by far the most files.
    buckets = [path for path in cache.glob("*/") if not path.name.startswith(("archive-v", "."))]
    leftovers = [*cache.glob(".tmp*"), *(path for bucket in buckets for path in bucket.rglob(".tmp*"))]
    for path in leftovers:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)  # it may have gone with a folder around it
    return len(leftovers)


def _entries(cache: Path, wheel: LockedWheel) -> list[tuple[Path, Path]]:
    # All of the package's, as uv shortens long tags; the digest in the pointer tells which is meant.
    return [entry for entry in _pointers(cache, wheel.name) if wheel.sha256.encode() in _content(entry[1])]


def _pointers(cache: Path, package: str) -> Iterator[tuple[Path, Path]]:
    """Give what may link to the wheels of a package, each with its pointer."""
    for index in (*cache.glob("wheels-v*/*"), *cache.glob("wheels-v*/index/*")):
        for suffix in _POINTERS:
            for pointer in (index / package).glob(f"*{suffix}"):
                yield pointer.with_name(pointer.name.removesuffix(suffix)), pointer


def _content(path: Path) -> bytes:
    try:
        return read_plain_file(path)
    except OSError:  # it went meanwhile, or is no pointer
        return b""
