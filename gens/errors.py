"""Error types with exit codes, for failures that a command reports in one message."""

from typing import ClassVar


class MonobaseError(Exception):
    """An expected failure; its text is a message in the form of STYLE.md.

    Attributes:
        exit_code: Exit code of the command; CONTRIBUTING.md lists all codes.
        kind: What kind of failure it is, in the metrics and on the page of the daemon.
    """

    exit_code: ClassVar[int] = 70
    kind: ClassVar[str] = "other"


class DifferenceError(MonobaseError):
    """A check found a difference between the actual and the expected state."""

    exit_code = 1


class DefinitionError(MonobaseError):
    """The definition of a generation is missing, malformed or contradicts itself."""

    exit_code = 3
    kind = "definition"


class LockError(MonobaseError):
    """A lock is missing, malformed, or does not belong to its definition."""

    exit_code = 3
    kind = "definition"


class SumsError(MonobaseError):
    """`gens.sum` is malformed, or a sealed generation differs from its seal."""

    exit_code = 3


class ResolutionError(MonobaseError):
    """An index did not answer, or a resolution has no solution."""

    exit_code = 4


class MirrorError(MonobaseError):
    """Content of a mirror is malformed, or cannot be written in the shape of a mirror."""

    exit_code = 3
    kind = "definition"


class CredentialsError(MonobaseError):
    """The credentials for a registry cannot be read."""

    exit_code = 9
