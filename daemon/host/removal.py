"""Remove trees, and say what that frees: an inode is free when the last of its links goes."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class LinkCount:
    """What would be freed if some names went.

    Attributes:
        freed_bytes: Bytes on the disk.
        freed_inodes: Files, links and folders.
    """

    freed_bytes: int = 0
    freed_inodes: int = 0
    _held: dict[int, int] = field(default_factory=dict)

    def take(self, status: os.stat_result) -> None:
        """Take away one name of an inode."""
        left = self.links_left(status) - 1
        if left == 0:
            self.freed_bytes += status.st_blocks * 512
            self.freed_inodes += 1
            self._held.pop(status.st_ino, None)
        else:
            self._held[status.st_ino] = left

    def links_left(self, status: os.stat_result) -> int:
        """Give the number of links that an inode has still."""
        return self._held.get(status.st_ino, status.st_nlink)

    def take_tree(self, path: str) -> None:
        """Take away a file, or a folder with all that is in it."""
        for _, status, is_directory in walk(path):
            if is_directory:
                self.freed_bytes += status.st_blocks * 512
                self.freed_inodes += 1
            else:
                self.take(status)


def walk(path: str) -> Iterator[tuple[str, os.stat_result, bool]]:
    """Give everything at and below a path, what is in a folder before the folder; not what goes meanwhile.

    Yields:
        The path, what lstat(2) says of it, and whether it is a folder.
    """
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return
    if not os.path.isdir(path) or os.path.islink(path):  # noqa: PTH112, PTH114 (there are many)
        yield path, status, False
        return
    try:
        with os.scandir(path) as entries:
            found = list(entries)
    except FileNotFoundError:
        return
    for entry in found:
        if entry.is_dir(follow_symlinks=False):
            yield from walk(entry.path)
        else:
            try:
                held = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            yield entry.path, held, False
    yield path, status, True


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
