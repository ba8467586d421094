"""The record `monobase/.turns.json`: from when on this node may fetch what is new, so that nodes spread.

JSON: `{"format": 1, "turns": {"g00003 1f0c…": 1790000000}}`, in seconds since the epoch. A key names what is
to be fetched. The daemon writes it when it begins to wait, so that a daemon that is restarted does not wait
again. A record that cannot be read, or that a newer release has written, counts as none.
"""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

import msgspec

from daemon.host.durability import DAEMON_SUFFIX, write_if_changed
from daemon.host.plain_file import read_plain_file
from daemon.prefix.mending import remove_anything
from daemon.prefix.prefix import Prefix

_FORMAT = 1
_NAME = ".turns.json"


@dataclass(frozen=True, slots=True)
class _Record:
    format: int = _FORMAT
    turns: dict[str, int] = field(default_factory=dict)


def read_turns(prefix: Prefix) -> dict[str, int]:
    """Return from when on what is new may be fetched, by key; nothing where no record can be read."""
    with suppress(OSError, msgspec.MsgspecError, RecursionError):
        record = msgspec.json.decode(read_plain_file(prefix.generations / _NAME), type=_Record)
        if record.format == _FORMAT:
            return record.turns
    return {}


def write_turns(prefix: Prefix, turns: Mapping[str, int]) -> None:
    """Write the record, unless it has this content.

    Args:
        prefix: The prefix; its folders exist.
        turns: The times by key.

    Raises:
        OSError: It cannot be written.
    """
    path = prefix.generations / _NAME
    if path.is_dir() and not path.is_symlink():  # no file can be renamed over a folder
        remove_anything(path)
    text = msgspec.json.encode(_Record(turns=dict(sorted(turns.items()))))
    write_if_changed(path, msgspec.json.format(text, indent=0) + b"\n", DAEMON_SUFFIX)
