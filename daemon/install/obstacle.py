"""Errors of the file system that concern one environment, generation or link, and leave the others alone."""

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daemon.errors import DamageError

# Such as a file in place of a folder.
_IN_THE_WAY = (
    errno.EEXIST,
    errno.ENOTEMPTY,
    errno.ENOTDIR,
    errno.EISDIR,
    errno.ENOENT,
    errno.ENAMETOOLONG,
    errno.ELOOP,
)
_UNWRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EXDEV)


@contextmanager
def obstacles_as_damage(subject: str, folder: Path | None = None) -> Iterator[None]:
    """Raise an error of the file system as damage of one subject; others, such as a full disk, pass.

    Args:
        subject: What a message names where the error has no path.
        folder: A folder that belongs to the subject alone: if it cannot be written to, that is damage, too.

    Raises:
        DamageError: A file or folder is in the way.
    """
    try:
        yield
    except OSError as error:
        path = error.filename2 or error.filename
        inside = folder is not None and path is not None and Path(os.fsdecode(path)).is_relative_to(folder)
        if error.errno not in _IN_THE_WAY and not (inside and error.errno in _UNWRITABLE):
            raise
        raise DamageError(
            f"{path or subject}: {error.strerror}; move it away if it is not of monobase"
        ) from error
