"""Reads small files whole: reading ends whatever has the name."""

import errno
import os
import stat
from pathlib import Path

_MAX_BYTES = 64_000_000


def read_plain_file(path: Path, max_bytes: int = _MAX_BYTES) -> bytes:
    """Read a regular file only: opening a FIFO blocks until a writer appears.

    Args:
        path: The file.
        max_bytes: More than it can have.

    Raises:
        FileNotFoundError: There is none.
        OSError: It is not a regular file, too large, or cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY)
    with open(descriptor, "rb") as file:  # noqa: PTH123 (a descriptor, not a path)
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, "is a folder, not a file", str(path))
        if not stat.S_ISREG(status.st_mode):
            raise OSError(errno.EINVAL, "is not a regular file", str(path))
        if status.st_size > max_bytes:
            raise OSError(errno.EFBIG, f"has {status.st_size:,} bytes, which it cannot have", str(path))
        return file.read()
