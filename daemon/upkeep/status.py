"""The installed generations of a prefix, and the bytes that sharing saves."""

import os
import time
from dataclasses import dataclass, field

from daemon.prefix.environments_file import read_left_out, read_targets
from daemon.prefix.generation import mark_of
from daemon.prefix.latest import latest_name
from daemon.prefix.lease_record import last_uses, read_lease_record, read_leases
from daemon.prefix.machine import machine_of
from daemon.prefix.prefix import Prefix
from daemon.prefix.store_check import strangers
from daemon.prefix.usage import DistinctFiles
from daemon.upkeep.known_file import read_known
from daemon.upkeep.readiness import SourceKnown, retry_text
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
        sealed: Whether it has a mark: all of it, or what is selected of it, is complete.
        selection: The option that a part of it was sealed for, such as `--pool cuda13`, or `on demand`; empty
            for all of it.
        latest: Whether `latest` names it.
        targets: The environments and toolkits that it defines.
        apparent_bytes: Bytes of its files, each name of a shared file counted.
        problem: Why its mark cannot be read; empty when it can.
        left_out: Those of its environments and toolkits that are not installed, as they are not selected.
    """

    name: str
    sealed: bool
    latest: bool
    targets: list[TargetStatus] = field(default_factory=list)
    apparent_bytes: int = 0
    problem: str = ""
    selection: str = ""
    left_out: list[str] = field(default_factory=list)

    @property
    def ready(self) -> int:
        """Number of its environments and toolkits that are ready."""
        return sum(target.ready for target in self.targets)


@dataclass(slots=True)
class PrefixStatus:
    """The status of a prefix.

    Attributes:
        prefix: Its path.
        latest: What `latest` names, or None.
        generations: Oldest first.
        apparent_bytes: Bytes of environments and toolkits, each name of a shared file counted: the size that
            separate images would have.
        distinct_bytes: Bytes of their files, each inode counted once.
        saved_bytes: The difference, which sharing saves.
        disk_bytes: Bytes on the disk of the whole prefix, with uv's cache, interpreters and folders.
        free_bytes: Free on its file system.
        strangers: What is among the generations and toolkits and was not made by an install.
        machine: Such as `x86_64`; None for an empty prefix.
        leased: The environments that models lease now, alone or with their generation, by label such as
            `g00003/python3.11`.
        last_uses: When each environment was leased last, or installed if that was later, in seconds since
            the epoch, by label.
        failures: What the daemon tries again, such as an install that waits for room, as it last recorded it.
        sources: The work of each source of wheels since the daemon started, as it last recorded it.
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
    machine: str | None = None
    leased: list[str] = field(default_factory=list)
    last_uses: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    sources: list[SourceKnown] = field(default_factory=list)


def read_status(prefix: Prefix) -> PrefixStatus:
    """Read the status of a prefix, without writing.

    Args:
        prefix: The prefix; it may be empty or not exist.

    Returns:
        Its status.
    """
    latest = latest_name(prefix)
    status = PrefixStatus(str(prefix.root), latest, machine=machine_of(prefix))
    files = DistinctFiles()
    for name in prefix.installed_generations():
        generation = GenerationStatus(name, sealed=False, latest=name == latest)
        try:
            mark = mark_of(prefix, name)
            generation.sealed = mark is not None
            if mark is not None and mark.is_part:
                generation.selection = mark.selection or "on demand"
        except MonobaseError as error:
            generation.problem = str(error)
        generation.targets = _targets(prefix, name)
        left_out = read_left_out(prefix, name)
        generation.left_out = [
            target.name for target in generation.targets if target.name in left_out and not target.ready
        ]
        for target in generation.targets:
            if not target.ready:
                continue
            apparent = files.add(prefix.target(name, target.name))
            generation.apparent_bytes += apparent
            status.apparent_bytes += apparent
        status.generations.append(generation)
    environments = read_leases(prefix)
    status.leased = [item.label for item in environments if item.leased or item.generation_leased]
    status.last_uses = last_uses(environments, read_lease_record(prefix), int(time.time()))
    known = read_known(prefix)
    status.failures = [retry_text(retry) for retry in known.retries]
    status.sources = list(known.sources)
    status.distinct_bytes = files.distinct_bytes
    status.saved_bytes = status.apparent_bytes - status.distinct_bytes
    status.strangers = [str(finding) for finding in strangers(prefix)]
    if prefix.root.exists():
        status.disk_bytes = files.add_rest(prefix.root)
        room = os.statvfs(prefix.root)
        status.free_bytes = room.f_bavail * room.f_frsize
    return status


def _targets(prefix: Prefix, name: str) -> list[TargetStatus]:
    return [
        TargetStatus(item.kind, item.name, item.ready and prefix.target(name, item.name).is_dir())
        for item in read_targets(prefix, name)
    ]
