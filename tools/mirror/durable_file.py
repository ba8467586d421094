"""Writes files so that a killed run or a full disk leaves nothing incomplete under a final name."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from tools.mirror.errors import DiskError, disk_error

_FILE_MODE = 0o644  # a web server may run as another user
_DIRECTORY_MODE = 0o755


def make_directory(path: Path) -> None:
    """Make a folder, and those above it, readable for every user whatever the umask is.

    Raises:
        DiskError: It cannot be made.
    """
    try:
        for folder in (path, *path.parents):
            if folder.exists() and not folder.is_dir():
                raise DiskError(f"{folder}: is not a folder; name one, or remove it")
        missing = [folder for folder in (path, *path.parents) if not folder.exists()]
        path.mkdir(parents=True, exist_ok=True)
        for folder in missing:
            folder.chmod(_DIRECTORY_MODE)
    except OSError as error:
        raise disk_error(error, path) from error


def write_if_changed(path: Path, content: bytes) -> bool:
    """Write a small file unless it already has the content.

    Returns:
        Whether it was written.

    Raises:
        DiskError: The disk is full, or the folder cannot be written.
    """
    try:
        if path.is_file() and path.read_bytes() == content:
            return False
    except OSError:
        pass  # it is replaced
    staging = path.with_name(f".{path.name}.partial")
    make_directory(path.parent)
    try:
        with staging.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        publish(staging, path)
    except OSError as error:
        staging.unlink(missing_ok=True)
        raise disk_error(error, path) from error
    return True


def publish(staging: Path, path: Path) -> None:
    """Rename a complete file to its final name, readable for every user.

    Raises:
        DiskError: The folder cannot be written.
    """
    make_directory(path.parent)
    try:
        staging.chmod(_FILE_MODE)
        staging.rename(path)
        directory = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise disk_error(error, path) from error


@contextmanager
def locked_file(path: Path, wait: Callable[[], None]) -> Iterator[IO[bytes]]:
    """Open a file for reading and writing, made if it is absent, as the only process that does.

    Args:
        path: The file.
        wait: Called before waiting for another process.

    Yields:
        The file.

    Raises:
        DiskError: It cannot be opened.
    """
    make_directory(path.parent)
    while True:
        try:
            file = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _FILE_MODE), "r+b")
        except OSError as error:
            raise disk_error(error, path) from error
        with file:
            _lock(file, wait)
            # The other process may have renamed or removed what was waited for.
            if _is_at(file, path):
                yield file
                return


def _lock(file: IO[bytes], wait: Callable[[], None]) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        wait()
        fcntl.flock(file, fcntl.LOCK_EX)


def _is_at(file: IO[bytes], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
