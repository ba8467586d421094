"""What stands on a prefix, and how many bytes sharing saves."""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from daemon.host.plain_file import read_plain_file
from daemon.host.tree_walk import ALL_FOLDERS, walk_tree
from daemon.prefix.latest import latest_name
from daemon.prefix.mark import read_mark
from daemon.prefix.prefix import Prefix
from daemon.prefix.store_check import strangers
from gens.errors import MonobaseError


@dataclass(frozen=True, slots=True)
class TargetStatus:
    """An environment or toolkit that a generation defines."""

    kind: str
    name: str
    ready: bool


@dataclass(slots=True)
class GenerationStatus:
    """A generation on the prefix.

    Attributes:
        name: Such as `g00003`.
        sealed: Whether it is complete.
        latest: Whether `latest` names it.
        targets: What it defines.
        apparent_bytes: Bytes of its files, each name of a shared file counted.
        problem: What is wrong with its mark, which `verify` tells in full; empty when nothing is.
    """

    name: str
    sealed: bool
    latest: bool
    targets: list[TargetStatus] = field(default_factory=list)
    apparent_bytes: int = 0
    problem: str = ""

    @property
    def ready(self) -> int:
        """How many of its environments and toolkits are ready."""
        return sum(target.ready for target in self.targets)


@dataclass(slots=True)
class PrefixStatus:
    """All of a prefix.

    Attributes:
        prefix: Its path.
        latest: What `latest` names, or None.
        generations: Oldest first.
        apparent_bytes: Bytes of environments and toolkits, each name of a shared file counted: what separate
            images would hold.
        distinct_bytes: Bytes of their files, each inode counted once.
        saved_bytes: What sharing saves: the difference.
        disk_bytes: What the whole prefix takes on the disk, with uv's cache, interpreters and folders.
        free_bytes: Free on its file system.
        strangers: What stands among the generations and toolkits and was made by no install.
    """

    prefix: str
    latest: str | None
    generations: list[GenerationStatus] = field(default_factory=list)
    apparent_bytes: int = 0
    distinct_bytes: int = 0
    saved_bytes: int = 0
    disk_bytes: int = 0
    free_bytes: int = 0
    strangers: list[str] = field(default_factory=list)


def read_status(prefix: Prefix) -> PrefixStatus:
    """Look at a prefix, without writing.

    Args:
        prefix: The prefix; it may be empty or not exist.

    Returns:
        What stands on it.
    """
    latest = latest_name(prefix)
    status = PrefixStatus(str(prefix.root), latest)
    counted: set[tuple[int, int]] = set()
    trees: set[Path] = set()
    for name in prefix.installed_generations():
        generation = GenerationStatus(name, sealed=False, latest=name == latest)
        try:
            generation.sealed = read_mark(prefix.sealed_mark(name)) is not None
        except MonobaseError as error:
            generation.problem = str(error)
        generation.targets = _targets(prefix, name)
        for target in generation.targets:
            if not target.ready:
                continue
            tree = (prefix.generation(name) / target.name).resolve()
            apparent = _count(status, tree, counted, tree not in trees)
            trees.add(tree)
            generation.apparent_bytes += apparent
            status.apparent_bytes += apparent
        status.generations.append(generation)
    status.saved_bytes = status.apparent_bytes - status.distinct_bytes
    status.strangers = [str(finding) for finding in strangers(prefix)]
    if prefix.root.exists():
        status.disk_bytes = disk_bytes(prefix.root)
        room = os.statvfs(prefix.root)
        status.free_bytes = room.f_bavail * room.f_frsize
    return status


def disk_bytes(root: Path) -> int:
    """Count what everything below a folder takes on the disk, each inode once."""
    seen: set[int] = set()
    total = 0
    pending = [str(root)]
    while pending:
        directory = pending.pop()
        try:
            total += os.lstat(directory).st_blocks * 512
            entries = list(os.scandir(directory))
        except OSError:
            continue
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                pending.append(entry.path)
                continue
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if status.st_nlink == 1 or status.st_ino not in seen:
                total += status.st_blocks * 512
                if status.st_nlink > 1:
                    seen.add(status.st_ino)
    return total


def _targets(prefix: Prefix, name: str) -> list[TargetStatus]:
    try:
        text = read_plain_file(prefix.environments_file(name)).decode(errors="replace")
    except OSError:
        return []  # none yet, or none any more
    targets = []
    for line in text.splitlines():
        fields = line.split(" ")
        if fields[0] in {"environment", "cuda", "cudnn"} and len(fields) > 2:
            tree = prefix.generation(name) / fields[1]
            targets.append(TargetStatus(fields[0], fields[1], fields[2] == "ready" and tree.is_dir()))
    return targets


def _count(status: PrefixStatus, tree: Path, counted: set[tuple[int, int]], first: bool) -> int:
    apparent = 0
    for found in walk_tree(str(tree), ALL_FOLDERS):
        if not stat.S_ISREG(found.status.st_mode):
            continue
        apparent += found.status.st_size
        identity = (found.status.st_dev, found.status.st_ino)
        if first and identity not in counted:
            counted.add(identity)
            status.distinct_bytes += found.status.st_size
    return apparent
