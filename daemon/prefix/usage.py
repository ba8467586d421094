"""The bytes on a prefix by kind, each inode once, and what sharing saves."""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from daemon.host.tree_walk import walk_tree
from daemon.prefix.prefix import Prefix


@dataclass(frozen=True, slots=True)
class Usage:
    """The bytes on a prefix.

    Attributes:
        disk_bytes: Bytes on the disk by kind; what several kinds link counts for the first of them:
            `environments`, `toolkits`, `bytecode`, `interpreters`, `uv-cache`, `bookkeeping`.
        apparent_bytes: Bytes of environments and toolkits, each name of a shared file counted: what separate
            images would hold.
        saved_bytes: What sharing saves of them.
    """

    disk_bytes: dict[str, int] = field(default_factory=dict)
    apparent_bytes: int = 0
    saved_bytes: int = 0

    @property
    def total_bytes(self) -> int:
        """The bytes that the prefix takes on the disk."""
        return sum(self.disk_bytes.values())


def read_usage(prefix: Prefix) -> Usage:
    """Count the bytes on a prefix in one walk over it, without writing.

    Args:
        prefix: The prefix.

    Returns:
        The bytes.
    """
    seen: set[tuple[int, int]] = set()
    disk: dict[str, int] = {}
    apparent = distinct = 0
    trees = [tree for name in prefix.installed_generations() for tree in _trees(prefix.generation(name))]
    linked = {tree.resolve() for tree in trees if tree.is_symlink()}
    kinds: list[tuple[str, Path]] = [("environments", tree) for tree in trees if not tree.is_symlink()]
    kinds += [("toolkits", tree) for tree in sorted(linked)]
    for kind, tree in kinds:
        counted = _count(tree, seen)
        disk[kind] = disk.get(kind, 0) + counted.blocks_bytes
        uses = sum(1 for path in trees if path.is_symlink() and path.resolve() == tree) or 1
        apparent += counted.apparent_bytes * uses
        distinct += counted.distinct_bytes
    for kind, tree in (
        ("toolkits", prefix.toolkits), ("bytecode", prefix.bytecode), ("interpreters", prefix.uv_python),
        ("uv-cache", prefix.uv_cache), ("bookkeeping", prefix.wheels), ("bookkeeping", prefix.files),
        ("bookkeeping", prefix.root),
    ):  # fmt: skip
        disk[kind] = disk.get(kind, 0) + _count(tree, seen).blocks_bytes
    return Usage(disk, apparent, apparent - distinct)


def disk_bytes(root: Path) -> int:
    """Count the bytes that everything below a folder takes on the disk, each inode once."""
    seen: set[int] = set()
    total = 0
    for entry in walk_tree(str(root)):
        status = entry.status
        if entry.is_folder or status.st_nlink == 1 or status.st_ino not in seen:
            total += status.st_blocks * 512
            if status.st_nlink > 1 and not entry.is_folder:
                seen.add(status.st_ino)
    return total


@dataclass(slots=True)
class DistinctFiles:
    """The files of several trees, each inode counted once.

    Attributes:
        distinct_bytes: Bytes of the files of all trees.
    """

    distinct_bytes: int = 0
    _seen: set[tuple[int, int]] = field(default_factory=set)

    def add(self, tree: Path) -> int:
        """Add a tree, and return the bytes of its files, each name of a shared file counted."""
        apparent = 0
        for entry in walk_tree(str(tree)):
            if not stat.S_ISREG(entry.status.st_mode):
                continue
            apparent += entry.status.st_size
            identity = (entry.status.st_dev, entry.status.st_ino)
            if identity not in self._seen:
                self._seen.add(identity)
                self.distinct_bytes += entry.status.st_size
        return apparent


def _trees(generation: Path) -> list[Path]:
    try:
        return [path for path in generation.iterdir() if path.is_dir()]  # a loop of links is none to it
    except OSError:
        return []  # pruned meanwhile


@dataclass(slots=True)
class _Count:
    blocks_bytes: int = 0
    apparent_bytes: int = 0
    distinct_bytes: int = 0


def _count(tree: Path, seen: set[tuple[int, int]]) -> _Count:
    count = _Count()
    # An install or a prune may go on meanwhile: what has gone is not counted, all else is.
    for entry in walk_tree(str(tree)):
        if entry.failure is not None and not isinstance(entry.failure, NotADirectoryError):
            raise entry.failure
        _add(count, entry.status, seen)
    return count


def _add(count: _Count, status: os.stat_result, seen: set[tuple[int, int]]) -> None:
    regular = stat.S_ISREG(status.st_mode)
    if regular:
        count.apparent_bytes += status.st_size
    identity = (status.st_dev, status.st_ino)
    if identity in seen:
        return
    seen.add(identity)
    count.blocks_bytes += status.st_blocks * 512
    if regular:
        count.distinct_bytes += status.st_size
