"""Writes files under a temporary name and renames them, so that a killed preparation leaves no partial file.

Each temporary name begins with `.monobase-new`. The next preparation removes the leftovers of a killed one.
"""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

NEW = ".monobase-new"


def write_file(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file under another name, and rename it.

    Args:
        path: Its final path.
        text: What it holds; surrogates stand for bytes that are not UTF-8.
        mode: Its permissions.

    Raises:
        OSError: With the final path as its file name: a failed write by itself names none.
    """
    new = path.with_name(f"{NEW}-{path.name}")
    with naming(path):
        new.write_text(text, encoding="utf-8", errors="surrogateescape")
        new.chmod(mode)
        new.replace(path)


def link(path: Path, target: str) -> None:
    """Make a symbolic link, in place of an existing file.

    Args:
        path: The link.
        target: What it leads to.
    """
    new = path.with_name(f"{NEW}-{path.name}")
    with naming(path):
        new.unlink(missing_ok=True)
        new.symlink_to(target)
        new.replace(path)


def remove(path: Path) -> None:
    """Remove a file, a link or a whole folder, if it exists."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def naming(path: Path) -> Iterator[None]:
    """Replace the file name in an error of the system by the one that the user knows.

    Args:
        path: The file.

    Raises:
        OSError: The error, with that name.
    """
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error


def room_near(path: Path) -> str:
    """Return the free bytes and inodes of the file system of a path, in brackets; empty if unknown."""
    for place in (path, *path.parents):
        with contextlib.suppress(OSError):
            room = os.statvfs(place)
            return f" ({room.f_bavail * room.f_frsize:,} bytes and {room.f_favail:,} inodes are free)"
    return ""
