"""The record `monobase/.leases.json`: when each environment was last leased, so that the oldest goes first.

JSON: `{"format": 1, "last": {"g00003/python3.11": 1790000000}}`, in seconds since the epoch. A model writes
nothing: the daemon looks at the leases, and it alone writes the record, beside a writer of the prefix. An
environment that is not in it was used last when it was installed.
"""

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from daemon.errors import NewerFormatError
from daemon.host.durability import DAEMON_SUFFIX, write_if_changed
from daemon.host.plain_file import read_plain_file
from daemon.prefix.generation import is_strange_folder, list_generation
from daemon.prefix.lease import is_leased
from daemon.prefix.mending import remove_anything
from daemon.prefix.prefix import Prefix

_FORMAT = 1
_NAME = ".leases.json"


@dataclass(frozen=True, slots=True)
class _Format:
    format: int = _FORMAT


@dataclass(frozen=True, slots=True)
class _Record(_Format):
    last: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class InstalledEnvironment:
    """An environment on the prefix.

    Attributes:
        generation: Name of its generation.
        name: Its name.
        installed_s: When it was published, in seconds since the epoch.
        leased: Whether a model leases it now; not by a lease on its generation.
        generation_leased: Whether a model leases its generation as a whole.
    """

    generation: str
    name: str
    installed_s: int
    leased: bool
    generation_leased: bool

    @property
    def label(self) -> str:
        """Name in messages and in the record: `g00003/python3.11`."""
        return f"{self.generation}/{self.name}"


def read_leases(prefix: Prefix) -> list[InstalledEnvironment]:
    """Look at each environment of the prefix that can be read, and at its lease."""
    found = []
    for generation in prefix.installed_generations():
        try:
            whole = is_leased(prefix.generation(generation))
            entries = list_generation(prefix, generation)
        except OSError:
            continue  # it was pruned meanwhile, or cannot be read, which readiness and scans report
        for entry in entries:
            if entry.kind != "folder" or is_strange_folder(entry.path):
                continue
            try:
                leased = is_leased(entry.path)
                changed_s = int(os.lstat(entry.path).st_ctime)  # its rename into place
            except OSError:
                continue
            found.append(InstalledEnvironment(generation, entry.name, changed_s, leased, whole))
    return found


def last_leases(
    environments: Sequence[InstalledEnvironment], recorded: Mapping[str, int], now_s: int
) -> dict[str, int]:
    """Return when environments were leased last, in seconds since the epoch.

    Args:
        environments: The environments on the prefix.
        recorded: The last leases, as the record has them.
        now_s: The time.

    Returns:
        The times by label, of those that were ever seen leased: now, or as recorded. A time after now, which
        a clock that was set back leaves, counts as now.
    """
    leased = {item.label: now_s for item in environments if item.leased}
    known = {item.label: min(now_s, recorded[item.label]) for item in environments if item.label in recorded}
    return known | leased


def last_uses(
    environments: Sequence[InstalledEnvironment], leases: Mapping[str, int], now_s: int
) -> dict[str, int]:
    """Return when each environment was leased last, or installed if that was later; by label.

    A time after now counts as now: a clock that was set back must not keep what was installed before.
    """
    return {item.label: min(now_s, max(leases.get(item.label, 0), item.installed_s)) for item in environments}


def write_lease_record(prefix: Prefix, last: Mapping[str, int]) -> None:
    """Write the record, unless it has this content.

    Args:
        prefix: The prefix; its folders exist.
        last: When environments were leased last, by label.

    Raises:
        NewerFormatError: A newer release has written it; it stays as it is.
        OSError: It cannot be written.
    """
    path = prefix.generations / _NAME
    _check_format(path)
    if path.is_dir() and not path.is_symlink():  # no file can be renamed over a folder
        remove_anything(path)
    text = msgspec.json.encode(_Record(last=dict(sorted(last.items()))))
    write_if_changed(path, msgspec.json.format(text, indent=0) + b"\n", DAEMON_SUFFIX)


def _check_format(path: Path) -> None:
    with suppress(OSError, msgspec.MsgspecError, RecursionError):  # none, or damaged
        number = msgspec.json.decode(read_plain_file(path), type=_Format).format
        if number > _FORMAT:
            raise NewerFormatError(path, f"format {number}", f"format {_FORMAT}")


def read_lease_record(prefix: Prefix) -> dict[str, int]:
    """Return when environments were leased last, by label; nothing where no record can be read.

    A record of a newer format is not read. The order of evictions then begins with the installations.
    """
    try:
        record = msgspec.json.decode(read_plain_file(prefix.generations / _NAME), type=_Record)
    except (OSError, msgspec.MsgspecError, RecursionError):
        return {}
    return record.last if record.format == _FORMAT else {}
