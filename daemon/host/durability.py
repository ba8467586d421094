"""Writes files, links and names durably, and changes a name in one step.

The order is always the same: write, `sync_filesystem`, rename, `sync_directory`. One syncfs(2) for all files
of a generation costs a fraction of an fsync(2) for each.
"""

import ctypes
import os
import secrets
from contextlib import suppress
from pathlib import Path

from daemon.host.modes import open_new_file
from daemon.host.plain_file import read_plain_file

_LIBC = ctypes.CDLL(None, use_errno=True)
_SYNC_FILE_RANGE_WRITE = 2
# Whose a temporary name is. Each cleans only its own: the daemon writes beside somebody else's install.
WRITER_SUFFIX = ".tmp"  # of who holds the writer's lock
DAEMON_SUFFIX = ".daemon-tmp"  # of who holds the service's lock


def sync_filesystem(path: Path) -> None:
    """Write all that is dirty on the file system of a path to its disk (syncfs(2)).

    Args:
        path: Any folder of the file system.

    Raises:
        OSError: The system could not write, for example for want of space.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if _LIBC.syncfs(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number), str(path))
    finally:
        os.close(descriptor)


def begin_to_write(path: str | Path) -> None:
    """Begin to write a file to its disk, and do not wait: `sync_filesystem` then finds less to do.

    An error of the disk is not reported here; `sync_filesystem` reports it.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _LIBC.sync_file_range(descriptor, ctypes.c_int64(0), ctypes.c_int64(0), _SYNC_FILE_RANGE_WRITE)
    finally:
        os.close(descriptor)


def sync_directory(path: Path) -> None:
    """Write the names in a folder to the disk (fsync(2)), so that a rename outlives a power loss."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(path: Path, content: bytes, suffix: str = WRITER_SUFFIX) -> None:
    """Put a file in place complete and durable, or leave what was there.

    Args:
        path: The final name.
        content: All of the file.
        suffix: End of its temporary name, which tells whose it is.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{suffix}")
    try:
        with open_new_file(temporary) as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def replace_file(path: Path, content: bytes, suffix: str = WRITER_SUFFIX) -> None:
    """Put a file in place in one step, without syncing it: for what need not outlive a power loss.

    Args:
        path: The final name.
        content: All of the file.
        suffix: End of its temporary name, which tells whose it is.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{suffix}")
    try:
        with open_new_file(temporary) as file:
            file.write(content)
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def write_if_changed(path: Path, content: bytes, suffix: str = WRITER_SUFFIX) -> bool:
    """Put a file in place as `write_file` does, unless it has this content.

    Args:
        path: The final name. A pipe or anything else that is not a file is replaced, a folder is not.
        content: All of the file.
        suffix: End of its temporary name, which tells whose it is.

    Returns:
        Whether it was written.
    """
    with suppress(OSError):
        if read_plain_file(path) == content:
            return False
    write_file(path, content, suffix)
    return True


def write_new_file(path: Path, content: bytes) -> None:
    """Write a file that must not exist yet: what has its name may be linked elsewhere, and is not written to.

    Args:
        path: Its name, in the staging folder.
        content: All of the file.

    Raises:
        FileExistsError: Something has the name.
    """
    with open_new_file(path) as file:
        file.write(content)


def write_symlink(path: Path, target: str) -> None:
    """Point a symbolic link at another target in one step.

    Args:
        path: The link, which may exist.
        target: What it says.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{WRITER_SUFFIX}")
    try:
        temporary.symlink_to(target)
        temporary.rename(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def is_temporary_name(name: str) -> bool:
    """Return whether a name is temporary: that of a file that is being written."""
    return name.startswith(".") and name.endswith((WRITER_SUFFIX, DAEMON_SUFFIX))


def remove_temporary_files(directory: Path, suffix: str, of: str = "*") -> None:
    """Remove what a writer that was ended left half written in a folder.

    Args:
        directory: The folder; it need not exist.
        suffix: End of the temporary names of the writer that asks.
        of: Name of the file that was to be written; by default, any.
    """
    for path in directory.glob(f".{of}.*{suffix}"):
        path.unlink(missing_ok=True)
