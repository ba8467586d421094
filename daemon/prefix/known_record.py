"""The record `monobase/.known.json`: what the daemon knows beside the marks, for probes of other processes.

Only the holder of the service lock writes it, beside a writer of the prefix. `daemon/upkeep/known_file.py`
documents its content.
"""

from pathlib import Path

from daemon.host.durability import DAEMON_SUFFIX, write_if_changed
from daemon.host.plain_file import read_plain_file
from daemon.prefix.mending import remove_anything
from daemon.prefix.prefix import Prefix

RECORD_NAME = ".known.json"


def record_path(prefix: Prefix) -> Path:
    """Return the path of the record, for messages."""
    return prefix.generations / RECORD_NAME


def write_record(prefix: Prefix, content: bytes) -> bool:
    """Write the record, unless it has this content.

    Args:
        prefix: The prefix; its folders exist.
        content: All of the record.

    Returns:
        Whether it was written.

    Raises:
        OSError: It cannot be written.
    """
    path = record_path(prefix)
    if path.is_dir() and not path.is_symlink():  # no file can be renamed over a folder
        remove_anything(path)
    return write_if_changed(path, content, DAEMON_SUFFIX)


def read_record(prefix: Prefix) -> bytes:
    """Read the record.

    Raises:
        FileNotFoundError: No daemon has written one.
        OSError: It is not a file, or cannot be read.
    """
    return read_plain_file(record_path(prefix))
