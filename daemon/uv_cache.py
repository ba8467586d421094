"""uv's cache, as far as we must look into it: which archive holds a wheel, and how to drop one.

uv keeps each unpacked wheel as `archive-v0/ID/`, and beside each link to it,
`wheels-v8/INDEX/NAME/VERSION-TAGS`, a pointer file (`.http`, `.rev`) that holds the wheel's SHA-256. Seen
with uv 0.13.9; the versions of the folders are left open here, and an archive counts as found only when
its pointer holds the digest that the lock names.
"""

import shutil
from pathlib import Path

from gens.lock import LockedWheel

_POINTERS = (".http", ".rev")


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
    entries = []
    for index in (*cache.glob("wheels-v*/*"), *cache.glob("wheels-v*/index/*")):
        for suffix in _POINTERS:
            entries += [
                (pointer.with_name(pointer.name.removesuffix(suffix)), pointer)
                for pointer in (index / wheel.name).glob(f"*{suffix}")
            ]
    return [entry for entry in entries if wheel.sha256.encode() in _content(entry[1])]


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
