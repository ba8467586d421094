"""The installer's own errors, beside those of `gens.errors`; daemon/README.md lists the exit codes."""

from pathlib import Path
from typing import ClassVar

from gens.errors import MonobaseError


class DamageError(MonobaseError):
    """The files on the prefix are not those that were sealed."""

    exit_code: ClassVar[int] = 1
    kind: ClassVar[str] = "damage"


class NewerFormatError(MonobaseError):
    """A newer monobase has written something: it is not damaged, and nothing that is older may touch it.

    Args:
        path: What was to be read.
        found: Its format, such as `manifest 2`.
        known: The newest that is understood here.
    """

    exit_code: ClassVar[int] = 3

    def __init__(self, path: Path, found: str, known: str) -> None:
        super().__init__(
            f"{path}: written by a newer monobase: has {found}, and this one reads up to {known}; "
            "it was left as it is: use a monobase as new as the one that wrote it"
        )


class UvConfigurationError(MonobaseError):
    """The machine's configuration of uv cannot be read, or has a value that is none."""

    exit_code: ClassVar[int] = 3


class IndexAccessError(MonobaseError):
    """An index did not answer, or does not have what a lock names."""

    exit_code: ClassVar[int] = 4
    kind: ClassVar[str] = "index"


class IndexUnreachableError(IndexAccessError):
    """No host answers where an index should be: asking it for the next wheel would wait as long again."""


class IndexUrlError(IndexAccessError):
    """The URL of an index is none: there is nobody to ask, whatever is wanted."""


class SlowIndexError(IndexAccessError):
    """The index sends, and slower than the least rate."""


class NotOnIndexError(IndexAccessError):
    """The index answers, and does not list what a lock names."""


class SourceError(IndexAccessError):
    """No source sends a wheel or an interpreter."""

    kind: ClassVar[str] = "source"


class SourceDeniedError(SourceError):
    """A source denies access, and no other one sends the file."""

    exit_code: ClassVar[int] = 9


class PrefixError(MonobaseError):
    """Nothing on the prefix can go on: it is not the fault of one wheel, environment or generation."""


class DiskError(PrefixError):
    """The disk cannot hold the install: space, inodes, hard links, mounts or permissions."""

    exit_code: ClassVar[int] = 5
    kind: ClassVar[str] = "disk"


class BudgetError(MonobaseError):
    """An environment does not fit into the disk budget, and nothing that may be evicted makes it fit."""

    exit_code: ClassVar[int] = 5
    kind: ClassVar[str] = "budget"


class PrefixPathError(MonobaseError):
    """No prefix can have the path that was given."""

    exit_code: ClassVar[int] = 2


class ForeignPrefixError(PrefixError):
    """The prefix is that of another machine: nothing of it runs on this one."""

    exit_code: ClassVar[int] = 2


class PrefixInUseError(PrefixError):
    """Another process writes to the prefix, and the wait for it ended."""

    exit_code: ClassVar[int] = 6
    kind: ClassVar[str] = "in-use"


class MachineError(PrefixError):
    """The machine does not give what a process needs: memory, open files, processes, or uv itself."""

    exit_code: ClassVar[int] = 11
    kind: ClassVar[str] = "machine"


class ProgramKilledError(MonobaseError):
    """A signal has ended uv or an interpreter, such as that of a kernel without memory."""

    exit_code: ClassVar[int] = 11
    kind: ClassVar[str] = "machine"


class WheelContentError(MonobaseError):
    """A wheel is not the one that its lock names, is malformed, or contradicts another one."""

    exit_code: ClassVar[int] = 7
    kind: ClassVar[str] = "wheel"


class InterpreterError(MonobaseError):
    """There is no interpreter for a Python version of a generation."""

    exit_code: ClassVar[int] = 8
    kind: ClassVar[str] = "interpreter"


class ProxyError(MonobaseError):
    """A limit was asked for, and the machine goes through a proxy that cannot be gone through with it."""

    exit_code: ClassVar[int] = 2


class ListenError(MonobaseError):
    """The daemon cannot listen at its address."""

    exit_code: ClassVar[int] = 4
