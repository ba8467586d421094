"""The digests of the inodes that this run has read itself, so that each is read once and none is trusted.

A name says nothing of the bytes under it: a link of uv's cache, of `files/` or of another generation may have
been written to since it was right. Before something is sealed, each inode of it was read in this very run.
"""

import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field

from daemon.host.file_content import file_sha256
from daemon.host.many_items import work_off

_Identity = tuple[int, int]


@dataclass(slots=True)
class KnownContents:
    """The digests of inodes that were read, each as long as its size and time of change stay as they were.

    Attributes:
        jobs: How many files are read at once.
        read_bytes: How much was read here.
    """

    jobs: int
    read_bytes: int = 0
    _held: dict[_Identity, tuple[int, int, str]] = field(default_factory=dict, repr=False)
    _guard: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def record(self, status: os.stat_result, sha256: str) -> None:
        """Remember what was read.

        Args:
            status: What lstat(2) said of the file.
            sha256: Digest of its content.
        """
        with self._guard:
            self._held[status.st_dev, status.st_ino] = (status.st_size, status.st_mtime_ns, sha256)

    def digest(self, path: str, status: os.stat_result) -> str:
        """Return the digest of a file, and read the file unless its inode was read.

        Args:
            path: The file.
            status: What lstat(2) says of it.

        Returns:
            64 hex digits.

        Raises:
            OSError: It cannot be read.
        """
        with self._guard:
            held = self._held.get((status.st_dev, status.st_ino))
        if held is not None and held[:2] == (status.st_size, status.st_mtime_ns):
            return held[2]
        sha256 = file_sha256(path)
        self.record(status, sha256)
        with self._guard:
            self.read_bytes += status.st_size
        return sha256

    def read(self, files: Iterable[tuple[str, os.stat_result]]) -> None:
        """Read files that were not read yet, several at once, each inode once.

        Raises:
            OSError: One cannot be read.
        """
        held = self._held
        new = {
            (status.st_dev, status.st_ino): (path, status)
            for path, status in files
            if held.get((status.st_dev, status.st_ino), ())[:2] != (status.st_size, status.st_mtime_ns)
        }
        work_off(list(new.values()), lambda item: self.digest(*item), self.jobs)

    def snapshot(self) -> dict[_Identity, str]:
        """Return the digests by device and inode."""
        with self._guard:
            return {identity: held[2] for identity, held in self._held.items()}
