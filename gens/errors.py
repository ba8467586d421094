"""The errors that monobase shows to a person: raised where known, caught once, where shown."""

from typing import ClassVar


class MonobaseError(Exception):
    """An expected failure; its text is one clear message with path, value, and what to do.

    Attributes:
        exit_code: What a binary exits with; CONTRIBUTING.md lists the codes.
    """

    exit_code: ClassVar[int] = 70


class DifferenceError(MonobaseError):
    """A check compared what is with what should be, and they differ."""

    exit_code = 1


class DefinitionError(MonobaseError):
    """The definition of a generation is missing, malformed or contradicts itself."""

    exit_code = 3


class LockError(MonobaseError):
    """A lock is missing, malformed, or does not belong to its definition."""

    exit_code = 3


class SumsError(MonobaseError):
    """`gens.sum` is malformed, or a sealed generation is not what it seals."""

    exit_code = 3


class ResolutionError(MonobaseError):
    """An index did not answer, or what was asked of it has no solution."""

    exit_code = 4
