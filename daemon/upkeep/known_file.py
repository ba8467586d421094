"""What the daemon knows beyond the prefix's own marks, for a probe that is a process of its own.

`monobase/.known.json` is written by the one daemon whenever it changes. A daemon that has ended leaves its
last word: the next one takes it over, looks at everything before it says ready, and corrects it.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import msgspec

from daemon.prefix.known_record import read_record, record_path, write_record
from daemon.prefix.prefix import Prefix
from daemon.report.shown_text import json_document
from daemon.upkeep.readiness import NOTHING_KNOWN, Known

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class _Format:
    format: int = _FORMAT


def write_known(prefix: Prefix, known: Known) -> bool:
    """Tell probes what is known.

    Args:
        prefix: The prefix; its folders exist.
        known: What is known.

    Returns:
        Whether the file has changed.

    Raises:
        OSError: It cannot be written.
    """
    lasting = replace(known, installing=frozenset(), scanned=True)  # no install goes on for ever
    text = json_document({"format": _FORMAT, **asdict(lasting)}, indent=0)
    return write_record(prefix, text)


def read_known(prefix: Prefix, say: Callable[[str], None] = lambda _: None) -> Known:
    """Read what the daemon knows; nothing, where no daemon has written.

    Args:
        prefix: The prefix.
        say: Told when there is something that cannot be read.

    Returns:
        What it knows; nothing when a newer release has written it, or it is no sound file.
    """
    path = record_path(prefix)
    try:
        text = read_record(prefix)
        number = msgspec.json.decode(text, type=_Format).format
        if number > _FORMAT:
            say(
                f"{path}: was written by a newer monobase (format {number}); it is not read, so what only "
                "the daemon's scans know is not known here"
            )
            return NOTHING_KNOWN
        return msgspec.json.decode(text, type=Known)
    except FileNotFoundError:
        return NOTHING_KNOWN
    except (OSError, msgspec.MsgspecError, RecursionError) as error:
        say(f"{path}: cannot be read: {error}; the daemon writes it anew")
        return NOTHING_KNOWN
