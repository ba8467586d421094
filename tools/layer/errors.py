"""Errors of `//tools:layer`, with their exit codes."""

from collections.abc import Mapping

from gens.errors import MonobaseError, ResolutionError
from tools.layer.credentials import safe_text


class RequirementsError(MonobaseError):
    """A file of requirements is missing, malformed or asks for what a layer cannot have."""

    exit_code = 3

    def __init__(self, text: str) -> None:
        super().__init__(safe_text(text))


class ConflictError(ResolutionError):
    """The requirements have no solution on their base."""

    def __init__(self, text: str) -> None:
        super().__init__(safe_text(text))


class OlderError(ConflictError):
    """A requirement would fall back to an older major version for the sake of a pin of the base."""


class SecondAcceleratorError(ConflictError):
    """The layer would have a second Torch or CUDA.

    Attributes:
        found: By name of the package: its version, and why it is a second one.
    """

    def __init__(self, found: Mapping[str, tuple[str, str]]) -> None:
        super().__init__(", ".join(found))
        self.found = found


class BuildError(MonobaseError):
    """A wheel cannot be built or downloaded, or does not run on the base."""

    exit_code = 7

    def __init__(self, text: str) -> None:
        super().__init__(safe_text(text))


def reason_of(error: OSError | ValueError) -> str:
    """Return why a file cannot be read, without its path."""
    if isinstance(error, UnicodeDecodeError):
        return "it is not text in UTF-8"
    return (error.strerror if isinstance(error, OSError) else None) or str(error)
