"""A blob on its way from a source."""

from dataclasses import dataclass
from typing import Protocol, Self


@dataclass(frozen=True, slots=True)
class Blob:
    """A file that is identified by its content.

    Attributes:
        sha256: Digest, 64 hex digits.
        size_bytes: Size.
        filename: Name of the file.
        path: Path in the tree of a mirror.
    """

    sha256: str
    size_bytes: int
    filename: str
    path: str


class Body(Protocol):
    """The bytes of a blob from an offset on; a context manager, which ends the transfer."""

    @property
    def skip_bytes(self) -> int:
        """Number of bytes at the beginning that were not requested."""

    def read_some(self) -> bytes:
        """Return the next bytes, at least one; none at the end.

        Raises:
            SourceFailure: The transfer broke.
        """

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...


class Source(Protocol):
    """A place that blobs come from, by one way; several threads use it."""

    @property
    def name(self) -> str:
        """Name in messages and metrics."""

    def open(self, blob: Blob, offset: int) -> Body:
        """Begin to transfer a blob.

        Args:
            blob: The blob.
            offset: Number of bytes to leave out at its beginning.

        Raises:
            SourceFailure: The source does not send it.
        """

    def find_interpreter(self, path: str) -> Blob:
        """Return the archive of an interpreter.

        Args:
            path: Path that uv requests below `UV_PYTHON_INSTALL_MIRROR`.

        Raises:
            SourceFailure: The source does not have it.
        """
