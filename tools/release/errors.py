"""Error types of a release."""

from gens.errors import MonobaseError


class OutputError(MonobaseError):
    """The files of a release cannot be written."""

    exit_code = 5
