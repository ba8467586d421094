"""A source that is a folder of this machine: the tree of a mirror (`gens/mirror_shape.py`)."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Self

from daemon.source.body import Blob
from daemon.source.failure import SourceFailure
from daemon.source.interpreter_archive import MAX_INDEX_BYTES, archive_blob, listed_interpreter
from gens.mirror_shape import INTERPRETERS_INDEX

_READ_BYTES = 1 << 18


@dataclass(slots=True)
class FileBody:
    """A file, read from an offset on."""

    file: BinaryIO

    @property
    def skip_bytes(self) -> int:
        """None: a file is read from anywhere."""
        return 0

    def read_some(self) -> bytes:
        """Return the next bytes; none at the end.

        Raises:
            SourceFailure: The file cannot be read.
        """
        try:
            return self.file.read(_READ_BYTES)
        except OSError as error:
            raise SourceFailure("unreachable", f"cannot be read: {error.strerror}; check the disk") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


class FolderSource:
    """A folder with the tree of a mirror.

    Args:
        name: Name in messages and metrics.
        root: The folder.
    """

    def __init__(self, name: str, root: Path) -> None:
        self._name = name
        self._root = root

    @property
    def name(self) -> str:
        """Name in messages and metrics."""
        return self._name

    def open(self, blob: Blob, offset: int) -> FileBody:
        """Open the file of a blob.

        Raises:
            SourceFailure: The file does not exist, cannot be read, or has another size.
        """
        file = self._open(blob.path)
        size_bytes = os.fstat(file.fileno()).st_size
        if size_bytes != blob.size_bytes:
            file.close()
            raise SourceFailure(
                "wrong",
                f"{blob.path} has {size_bytes:,} bytes instead of {blob.size_bytes:,}; mirror it again",
            )
        file.seek(offset)
        return FileBody(file)

    def find_interpreter(self, path: str) -> Blob:
        """Return the archive of an interpreter that `interpreters/index.json` lists.

        Raises:
            SourceFailure: It does not list it, or is malformed.
        """
        with self._open(INTERPRETERS_INDEX) as file:
            try:
                content = file.read(MAX_INDEX_BYTES)
            except OSError as error:
                raise _unreadable(INTERPRETERS_INDEX, error) from error
        return archive_blob(listed_interpreter(content, f"{self._name}/{INTERPRETERS_INDEX}", path))

    def _open(self, path: str) -> BinaryIO:
        place = self._root / path
        try:
            # Opening a FIFO would block until a writer appears.
            descriptor = os.open(place, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (FileNotFoundError, NotADirectoryError):
            if not self._root.is_dir():
                raise SourceFailure("unreachable", "is not a folder; mount it, or correct --source") from None
            raise SourceFailure("absent", f"{path} does not exist; mirror this generation there") from None
        except PermissionError:
            raise SourceFailure("denied", f"{path} cannot be read; allow it to the daemon's user") from None
        except OSError as error:
            raise _unreadable(path, error) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise SourceFailure("wrong", f"{path} is not a regular file; mirror it again")
        return os.fdopen(descriptor, "rb", buffering=0)


def _unreadable(path: str, error: OSError) -> SourceFailure:
    return SourceFailure("unreachable", f"{path}: {error.strerror}; check the disk")
