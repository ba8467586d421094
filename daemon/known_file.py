"""What the daemon knows beyond the prefix's own marks, for a probe that is a process of its own.

`monobase/.known.json` is written by the one daemon whenever it changes. A daemon that has ended leaves its
last word: the next one takes it over, looks at everything before it says ready, and corrects it.
"""

import msgspec

from daemon.durability import write_file
from daemon.prefix import Prefix
from daemon.readiness import NOTHING_KNOWN, Known

FILE_NAME = ".known.json"


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
    path = prefix.generations / FILE_NAME
    lasting = Known(known.failures, known.damage, general=known.general)  # no install goes on for ever
    text = msgspec.json.encode(lasting)
    try:
        if path.read_bytes() == text:
            return False
    except FileNotFoundError:
        pass
    write_file(path, text)
    return True


def read_known(prefix: Prefix) -> Known:
    """Read what the daemon knows; nothing, where no daemon has written."""
    try:
        return msgspec.json.decode((prefix.generations / FILE_NAME).read_bytes(), type=Known)
    except (OSError, msgspec.MsgspecError):
        return NOTHING_KNOWN
