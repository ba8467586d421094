"""Removes trees, and counts what that frees: an inode is free when its last link is removed."""

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from daemon.host.tree_walk import walk_tree


@dataclass(slots=True)
class LinkCount:
    """The bytes and inodes that are freed when some names are removed.

    Attributes:
        freed_bytes: Bytes on the disk.
        freed_inodes: Files, links and folders.
    """

    freed_bytes: int = 0
    freed_inodes: int = 0
    _held: dict[int, int] = field(default_factory=dict)

    def take(self, status: os.stat_result) -> None:
        """Count one name of an inode as removed."""
        left = self.links_left(status) - 1
        if left == 0:
            self.freed_bytes += status.st_blocks * 512
            self.freed_inodes += 1
            self._held.pop(status.st_ino, None)
        else:
            self._held[status.st_ino] = left

    def links_left(self, status: os.stat_result) -> int:
        """Return the number of links that an inode has left."""
        return self._held.get(status.st_ino, status.st_nlink)

    def add(self, other: "LinkCount") -> None:
        """Add what another count has freed."""
        self.freed_bytes += other.freed_bytes
        self.freed_inodes += other.freed_inodes

    def take_tree(self, path: str) -> None:
        """Count a file, or a folder with all that is in it, as removed."""
        for _, status, is_directory in walk(path):
            if is_directory:
                self.freed_bytes += status.st_blocks * 512
                self.freed_inodes += 1
            else:
                self.take(status)


def walk(path: str) -> Iterator[tuple[str, os.stat_result, bool]]:
    """Yield everything at and below a path, a folder after all that is in it; not what vanishes meanwhile.

    Yields:
        The path, its status from lstat(2), and whether it is a folder.

    Raises:
        OSError: A folder cannot be listed.
    """
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(status.st_mode):
        yield path, status, False
        return
    for entry in walk_tree(path, folders_last=True):
        if entry.failure is not None:
            raise entry.failure
        yield entry.path, entry.status, entry.is_folder


def remove(paths: Iterable[str]) -> LinkCount:
    """Remove files, and folders with all that is in them.

    Returns:
        What that freed.
    """
    freed = LinkCount()
    for root in paths:
        for path, status, is_directory in walk(root):
            if is_directory:
                os.rmdir(path)  # noqa: PTH106 (there are many)
                freed.freed_bytes += status.st_blocks * 512
                freed.freed_inodes += 1
                continue
            os.unlink(path)  # noqa: PTH108 (there are many)
            if status.st_nlink == 1:
                freed.freed_bytes += status.st_blocks * 512
                freed.freed_inodes += 1
    return freed
