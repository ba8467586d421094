"""Makes files and folders with fixed modes, whatever the umask is."""

import os
from pathlib import Path
from typing import BinaryIO, cast

FOLDER_MODE = 0o755
FILE_MODE = 0o644


def make_folder(path: str | Path) -> None:
    """Make a folder, and those above it, for all to read. An existing one stays as it is.

    Args:
        path: The folder.

    Raises:
        FileExistsError: Something else has the name.
        FileNotFoundError: The folder above it takes none, such as one of /proc.
    """
    try:
        _make_one_folder(path)
    except FileNotFoundError:
        parent = os.path.dirname(path)  # noqa: PTH120 (paths are strings, there are many)
        if not parent or parent == path:
            raise
        make_folder(parent)
        _make_one_folder(path)  # once: /proc says "not found" of whatever is to be made in it


def _make_one_folder(path: str | Path) -> None:
    try:
        os.mkdir(path, FOLDER_MODE)  # noqa: PTH102
    except FileExistsError:
        if not os.path.isdir(path):  # noqa: PTH112
            raise
    else:
        os.chmod(path, FOLDER_MODE)  # noqa: PTH101


def make_new_folder(path: str | Path) -> None:
    """Make a folder for all to read, where nothing has the name.

    Raises:
        FileExistsError: Something has the name.
    """
    os.mkdir(path, FOLDER_MODE)  # noqa: PTH102
    os.chmod(path, FOLDER_MODE)  # noqa: PTH101


def open_new_file(path: str | Path) -> BinaryIO:
    """Open a file for writing that must not exist yet, and that all may read.

    Raises:
        FileExistsError: Something has the name.
    """
    return cast("BinaryIO", open(path, "xb", opener=_open))


def _open(path: str, flags: int) -> int:
    descriptor = os.open(path, flags, FILE_MODE)
    os.fchmod(descriptor, FILE_MODE)
    return descriptor
