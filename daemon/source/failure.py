"""The failure of a source."""

from typing import Literal

from daemon.errors import IndexAccessError, SourceDeniedError, SourceError
from gens.errors import MonobaseError

# `absent`: it lacks the blob; `cut`: a connection broke, and the download goes on; `wrong`: other bytes.
Reason = Literal["unreachable", "denied", "absent", "slow", "cut", "wrong"]
REASONS: tuple[Reason, ...] = ("unreachable", "denied", "absent", "slow", "cut", "wrong")


class SourceFailure(Exception):  # noqa: N818 (the next source is asked: it is no error yet)
    """A source does not send a blob.

    Args:
        reason: The kind of failure.
        text: What happened and what to do, without the name of the source.
        wait_s: Seconds that the source asks to wait, or None.
    """

    def __init__(self, reason: Reason, text: str, wait_s: float | None = None) -> None:
        super().__init__(text)
        self.reason = reason
        self.text = text
        self.wait_s = wait_s


class BrokenBlobError(Exception):
    """Bytes were handed on that cannot be completed: the client has to request the blob again."""


def source_error(filename: str, said: list[tuple[str, SourceFailure]]) -> SourceError:
    """Return the error of a file that no source sends.

    Args:
        filename: Name of the file.
        said: The failure of each source, with its name.
    """
    # A source that has the file and denies it is what to repair, not the ones that lack it.
    cause = SourceDeniedError if any(failure.reason == "denied" for _, failure in said) else SourceError
    texts = "; ".join(f"{name}: {failure.text}" for name, failure in said)
    return cause(f"{filename}: no source sends it: {texts or 'all were left out'}")


def joined_failures(before: MonobaseError | None, failure: MonobaseError) -> MonobaseError:
    """Return the failure of the last way to a wheel, which names that of the ways before it."""
    if before is None or not isinstance(failure, IndexAccessError):
        return failure
    return type(failure)(f"{failure}; before that: {before}")
