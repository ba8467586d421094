"""Receives one blob into a file, and hashes it while it arrives."""

import hashlib
import os
from pathlib import Path
from typing import IO

from tools.mirror.errors import disk_error

_BLOCK_BYTES = 1 << 20


class BlobPart:
    """The received part of a blob, in a file from an offset on.

    Attributes:
        received_bytes: How much of the blob the file has.
    """

    def __init__(self, file: IO[bytes], path: Path, base: int = 0, size_bytes: int | None = None) -> None:
        """Read and hash what the file has after an offset.

        Args:
            file: The file, open for reading and writing.
            path: Its path, for messages.
            base: Offset of the blob's first byte.
            size_bytes: Size of the blob, if the file may have something behind it; None to read all.

        Raises:
            DiskError: The file cannot be read.
        """
        self.received_bytes = 0
        self._file = file
        self._path = path
        self._base = base
        self._hash = hashlib.sha256()
        try:
            file.seek(base)
            while block := file.read(self._next(size_bytes)):
                self._count(block)
        except OSError as error:
            raise disk_error(error, path) from error

    @property
    def sha256(self) -> str:
        """Digest of what was received."""
        return self._hash.hexdigest()

    def write(self, block: bytes) -> None:
        """Append a block.

        Raises:
            DiskError: The disk is full, or the file cannot be written.
        """
        try:
            self._file.write(block)
        except OSError as error:
            raise disk_error(error, self._path) from error
        self._count(block)

    def cut(self) -> None:
        """Drop what is behind the received part.

        Raises:
            DiskError: The file cannot be written.
        """
        try:
            self._file.seek(self._base + self.received_bytes)
            self._file.truncate()
        except OSError as error:
            raise disk_error(error, self._path) from error

    def restart(self) -> None:
        """Drop what was received.

        Raises:
            DiskError: The file cannot be written.
        """
        self.received_bytes = 0
        self._hash = hashlib.sha256()
        self.cut()

    def sync(self) -> None:
        """Write the file through to the disk.

        Raises:
            DiskError: The disk is full, or the file cannot be written.
        """
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise disk_error(error, self._path) from error

    def _next(self, size_bytes: int | None) -> int:
        return _BLOCK_BYTES if size_bytes is None else min(_BLOCK_BYTES, size_bytes - self.received_bytes)

    def _count(self, block: bytes) -> None:
        self._hash.update(block)
        self.received_bytes += len(block)
