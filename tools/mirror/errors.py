"""Errors of `//tools:mirror`, with their exit codes."""

import errno
from pathlib import Path

from gens.errors import MonobaseError
from image.errors import TransientError


class AbsentError(MonobaseError):
    """A source does not have a wheel, or has another one under its name."""

    exit_code = 7


class LackingError(MonobaseError):
    """No source has a wheel.

    Attributes:
        exit_code: That of the sources' failures if they agree, such as 4 if none was reached; else 7.
    """

    def __init__(self, message: str, exit_code: int = 7) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]


class IncompleteError(MonobaseError):
    """A mirror lacks something at the end of a run.

    Attributes:
        exit_code: That of what is lacking if all agree; else 7.
    """

    def __init__(self, message: str, exit_code: int = 7) -> None:
        super().__init__(message)
        self.exit_code = exit_code  # type: ignore[misc]


class SourceError(MonobaseError):
    """A source cannot be used at all, or is malformed."""

    exit_code = 4


class DiskError(MonobaseError):
    """A disk is full, or cannot be written or read."""

    exit_code = 5


class InterpreterError(MonobaseError):
    """An interpreter cannot be downloaded, or uv refuses it."""

    exit_code = 7


class CutError(TransientError):
    """A source ended before the last byte."""


def disk_error(error: OSError, path: Path) -> DiskError:
    """Return the error of a file that cannot be written or read."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        return DiskError(
            f"{path}: the disk is full; make room and run the command again: it goes on where it stopped"
        )
    if error.errno in {errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ENOTEMPTY}:
        return DiskError(f"{path}: {error.strerror}; remove what is in its place, and run it again")
    return DiskError(f"{path}: {error.strerror or error}; make it readable and writable, and run it again")
