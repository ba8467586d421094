"""Opens regular files only: opening a FIFO would block until a writer appears."""

import os
import stat
from io import BufferedReader
from pathlib import Path


class NotRegularError(OSError):
    """A path leads to something else than a file."""


def open_regular(path: Path) -> BufferedReader:
    """Open a file for reading.

    Raises:
        NotRegularError: It is a folder, a FIFO, a socket or a device.
        OSError: It cannot be opened.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotRegularError(None, "is not a regular file")
    return os.fdopen(descriptor, "rb")


def read_regular(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        OSError: As `open_regular`, or it cannot be read.
    """
    with open_regular(path) as file:
        return file.read()
