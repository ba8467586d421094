"""The bytes on a prefix by kind, each inode once, and what sharing saves."""

import os
import stat
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

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
        """What the prefix takes on the disk."""
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
    pending = [str(tree)]
    while pending:
        directory = pending.pop()
        # An install or a prune may go on meanwhile: what has gone is not counted, all else is.
        with suppress(FileNotFoundError, NotADirectoryError):
            _add(count, os.lstat(directory), seen)
            with os.scandir(directory) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                        continue
                    with suppress(FileNotFoundError):
                        _add(count, entry.stat(follow_symlinks=False), seen)
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
