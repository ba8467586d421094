"""The bytes on a prefix by kind, each inode once, and what sharing saves."""

import os
import stat
from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from daemon.host.tree_walk import Entry, walk_tree
from daemon.prefix.prefix import Prefix


@dataclass(frozen=True, slots=True)
class TreeUsage:
    """The bytes of one environment or toolkit.

    Attributes:
        apparent_bytes: Bytes of its files, each name of a shared file counted: what an image would hold.
        own_bytes: Bytes on the disk that no other environment and no toolkit links: what it adds to them.
    """

    apparent_bytes: int
    own_bytes: int


@dataclass(frozen=True, slots=True)
class Usage:
    """The bytes on a prefix.

    Attributes:
        disk_bytes: Bytes on the disk by kind; what several kinds link counts for the first of them:
            `environments`, `toolkits`, `bytecode`, `interpreters`, `uv-cache`, `bookkeeping`.
        apparent_bytes: Bytes of environments and toolkits, each name of a shared file counted: what separate
            images would hold.
        saved_bytes: What sharing saves of them.
        trees: Each environment and toolkit by its place, such as `g00003/python3.11` or `g00003/cuda12.4`.
    """

    disk_bytes: dict[str, int] = field(default_factory=dict)
    apparent_bytes: int = 0
    saved_bytes: int = 0
    trees: dict[str, TreeUsage] = field(default_factory=dict)

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
    prefix = Prefix(prefix.root.resolve())  # the places of links to toolkits are below it then
    owners = _Owners()
    disk: dict[str, int] = {}
    apparent = distinct = 0
    trees = {
        f"{name}/{tree.name}": tree
        for name in prefix.installed_generations()
        for tree in _trees(prefix.generation(name))
    }
    linked = {label: tree.resolve() for label, tree in trees.items() if tree.is_symlink()}
    kinds = [("environments", tree) for label, tree in trees.items() if label not in linked]
    kinds += [("toolkits", tree) for tree in sorted({*linked.values()} - {tree for _, tree in kinds})]
    sizes: dict[Path, int] = {}
    links = Counter(linked.values())
    for kind, tree in kinds:
        counted = _count(tree, owners)
        disk[kind] = disk.get(kind, 0) + counted.blocks_bytes
        sizes[tree] = counted.apparent_bytes
        apparent += counted.apparent_bytes * (links[tree] or 1)
        distinct += counted.distinct_bytes
    used = {  # before the stores are walked, which link everything as well
        label: TreeUsage(sizes[place], owners.own_bytes.get(place, 0))
        for label, tree in trees.items()
        if (place := linked.get(label, tree)) in sizes
    }
    walked = {str(tree) for _, tree in kinds}
    for kind, tree in (
        ("toolkits", prefix.toolkits), ("bytecode", prefix.bytecode), ("interpreters", prefix.uv_python),
        ("uv-cache", prefix.uv_cache), ("bookkeeping", prefix.wheels), ("bookkeeping", prefix.files),
        ("bookkeeping", prefix.root),
    ):  # fmt: skip
        disk[kind] = disk.get(kind, 0) + _count(tree, owners, walked).blocks_bytes
        walked.add(str(tree))
    return Usage(disk, apparent, apparent - distinct, used)


def disk_bytes(root: Path) -> int:
    """Count the bytes that everything below a folder takes on the disk, each inode once."""
    return DistinctFiles().add_rest(root)


@dataclass(slots=True)
class DistinctFiles:
    """The files of several trees, each inode counted once.

    Attributes:
        distinct_bytes: Bytes of the files of all trees.
        disk_bytes: Bytes that the trees take on the disk, with their folders.
    """

    distinct_bytes: int = 0
    disk_bytes: int = 0
    _seen: set[tuple[int, int]] = field(default_factory=set)
    _added: dict[str, int] = field(default_factory=dict)

    def add(self, tree: Path) -> int:
        """Add a tree, and return the bytes of its files, each name of a shared file counted.

        A tree that was added before, as a toolkit of another generation, is not read again.
        """
        place = os.path.realpath(tree)
        apparent = self._added.get(place)
        if apparent is None:
            apparent = self._added[place] = self._add(walk_tree(place))
        return apparent

    def add_rest(self, root: Path) -> int:
        """Add what is below a folder and in no tree, and return the bytes of all that on the disk."""
        distinct_bytes = self.distinct_bytes
        self._add(walk_tree(os.path.realpath(root), without=self._added.keys()))
        self.distinct_bytes = distinct_bytes
        return self.disk_bytes

    def _add(self, entries: Iterable[Entry]) -> int:
        apparent = 0
        for entry in entries:
            status = entry.status
            is_file = stat.S_ISREG(status.st_mode)
            if is_file:
                apparent += status.st_size
            if status.st_nlink > 1 and not entry.is_folder:
                identity = (status.st_dev, status.st_ino)
                if identity in self._seen:
                    continue
                self._seen.add(identity)
            self.disk_bytes += status.st_blocks * 512
            if is_file:
                self.distinct_bytes += status.st_size
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


@dataclass(slots=True)
class _Owners:
    """The trees that inodes belong to, and the bytes on the disk of those that belong to one alone.

    Only files with several links are remembered: nothing is walked over twice.
    """

    own_bytes: dict[Path, int] = field(default_factory=dict)
    _by_inode: dict[tuple[int, int], Path | None] = field(default_factory=dict)

    def add(self, tree: Path, status: os.stat_result) -> bool:
        """Add an inode of a tree; return whether it is the first time that any tree has it."""
        identity = (status.st_dev, status.st_ino)
        blocks_bytes = status.st_blocks * 512
        is_single = status.st_nlink == 1 or stat.S_ISDIR(status.st_mode)
        if is_single or identity not in self._by_inode:
            if not is_single:
                self._by_inode[identity] = tree
            self.own_bytes[tree] = self.own_bytes.get(tree, 0) + blocks_bytes
            return True
        owner = self._by_inode[identity]
        if owner is not None and owner != tree:
            self._by_inode[identity] = None
            self.own_bytes[owner] -= blocks_bytes
        return False


def _count(tree: Path, owners: _Owners, without: Container[str] = ()) -> _Count:
    count = _Count()
    # An install or a prune may go on meanwhile: what has gone is not counted, all else is.
    for entry in walk_tree(str(tree), without=without):
        if entry.failure is not None and not isinstance(entry.failure, NotADirectoryError):
            raise entry.failure
        _add(count, entry.status, owners.add(tree, entry.status))
    return count


def _add(count: _Count, status: os.stat_result, is_new: bool) -> None:
    regular = stat.S_ISREG(status.st_mode)
    if regular:
        count.apparent_bytes += status.st_size
    if not is_new:
        return
    count.blocks_bytes += status.st_blocks * 512
    if regular:
        count.distinct_bytes += status.st_size
