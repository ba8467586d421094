"""A failure as metrics, the page and the log show it: its kind, and a text that everybody may read."""

from daemon.report.shown_text import visible
from gens.errors import MonobaseError
from gens.redaction import redact

# All kinds, each a series of `monobase_failures_total` from the start.
KINDS = (
    "budget", "damage", "definition", "disk", "in-use", "index", "internal", "interpreter", "machine",
    "other", "source", "wheel",
)  # fmt: skip


def kind_of(error: BaseException) -> str:
    """Return the kind of an error in metrics; `internal` for one that Monobase does not expect."""
    if isinstance(error, OSError):
        return "disk"
    return error.kind if isinstance(error, MonobaseError) else "internal"


def text_of(error: BaseException) -> str:
    """Return the message of an error; of an operating system's, its path and the system's words."""
    if isinstance(error, OSError) and error.strerror is not None:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    return str(error) or type(error).__name__


def for_everybody(text: str) -> str:
    """Return a message as one line without passwords, as everybody can read the page."""
    return visible(" ".join(redact(text).split()))
