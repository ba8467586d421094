"""What stands on a prefix, and how many bytes sharing saves."""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from daemon.inventory import walk_files
from daemon.prefix import Prefix


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
    """

    name: str
    sealed: bool
    latest: bool
    targets: list[TargetStatus] = field(default_factory=list)
    apparent_bytes: int = 0

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
    """

    prefix: str
    latest: str | None
    generations: list[GenerationStatus] = field(default_factory=list)
    apparent_bytes: int = 0
    distinct_bytes: int = 0
    saved_bytes: int = 0
    disk_bytes: int = 0
    free_bytes: int = 0


def read_status(prefix: Prefix) -> PrefixStatus:
    """Look at a prefix, without writing.

    Args:
        prefix: The prefix; it may be empty or not exist.

    Returns:
        What stands on it.
    """
    latest = str(prefix.latest.readlink()) if prefix.latest.is_symlink() else None
    status = PrefixStatus(str(prefix.root), latest)
    counted: set[tuple[int, int]] = set()
    trees: set[Path] = set()
    for name in prefix.installed_generations():
        generation = GenerationStatus(name, prefix.sealed_mark(name).exists(), name == latest)
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
        total += os.lstat(directory).st_blocks * 512
        try:
            entries = list(os.scandir(directory))
        except (FileNotFoundError, PermissionError):
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
    targets = []
    try:
        text = prefix.environments_file(name).read_text()
    except FileNotFoundError:
        return []
    for line in text.splitlines():
        fields = line.split(" ")
        if fields[0] in {"environment", "cuda", "cudnn"}:
            targets.append(TargetStatus(fields[0], fields[1], fields[2] == "ready"))
    return targets


def _count(status: PrefixStatus, tree: Path, counted: set[tuple[int, int]], first: bool) -> int:
    apparent = 0
    for _, entry in walk_files(str(tree)):
        if not stat.S_ISREG(entry.st_mode):
            continue
        apparent += entry.st_size
        identity = (entry.st_dev, entry.st_ino)
        if first and identity not in counted:
            counted.add(identity)
            status.distinct_bytes += entry.st_size
    return apparent
