"""The file with the daemon's knowledge, for probes in other processes: `monobase/.known.json`.

It holds what the marks on the prefix do not say: failures, findings of scans, retries. The one daemon of the
prefix writes it whenever it changes. The file outlives the daemon: the next daemon reads it, and scans
everything before it reports the node as ready. Format: JSON, `{"format": 1}` and the fields of
`readiness.Known`.
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
    """Write the file, if it changes.

    Args:
        prefix: The prefix; its folders exist.
        known: The knowledge of the daemon.

    Returns:
        Whether the file has changed.

    Raises:
        OSError: It cannot be written.
    """
    lasting = replace(known, installing=frozenset(), scanned=True)  # the reader may outlive the install
    text = json_document({"format": _FORMAT, **asdict(lasting)}, indent=0)
    return write_record(prefix, text)


def read_known(prefix: Prefix, say: Callable[[str], None] = lambda _: None) -> Known:
    """Return the knowledge of the daemon; nothing if no daemon has written it.

    Args:
        prefix: The prefix.
        say: Receives a warning if the file cannot be read.

    Returns:
        The knowledge; nothing if a newer release has written it, or the file is damaged.
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
        say(f"{path}: cannot be read: {error}; the daemon writes it again")
        return NOTHING_KNOWN
