"""The operations of a source of wheels and interpreters."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gens.mirror_shape import InterpreterConfig
from tools.mirror.wanted import Item


@dataclass(frozen=True, slots=True)
class Stream:
    """A file of a source, from an offset on.

    Attributes:
        start: Offset of the first byte; 0 if the source cannot begin elsewhere.
        blocks: The bytes; reading raises a TransientError if the connection breaks.
    """

    start: int
    blocks: Iterator[bytes]


class Source(Protocol):
    """A place that wheels and interpreters come from; several threads use it.

    Attributes:
        name: The source in messages, without credentials.
    """

    name: str

    def locate(self, item: Item) -> None:
        """Check that the source names a file, without reading it.

        Raises:
            AbsentError: It lacks the file, or names another one.
            MonobaseError: It cannot be reached, or denies access.
        """

    def open(self, item: Item, start: int) -> AbstractContextManager[Stream]:
        """Read a file from an offset on.

        Raises:
            AbsentError: The source lacks the file, or has another one.
            TransientError: A retry may help.
            MonobaseError: It denies access, or is malformed.
        """

    def local_path(self, item: Item) -> Path | None:
        """Return the path of a file on this machine that has only this content; None if there is none."""

    def interpreters(self) -> Mapping[str, InterpreterConfig]:
        """Return the interpreters that the source lists, by their keys.

        Raises:
            MonobaseError: It cannot be reached, or is malformed.
        """
