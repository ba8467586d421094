"""One file on this machine as a source."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from gens.mirror_shape import InterpreterConfig
from tools.mirror.errors import SourceError
from tools.mirror.folder_source import read_blocks
from tools.mirror.source import Stream
from tools.mirror.wanted import Item


class FileSource:
    """A file that is the only one of its source."""

    def __init__(self, path: Path) -> None:
        """Use a file."""
        self.name = str(path)
        self._path = path

    def locate(self, item: Item) -> None:
        """Do nothing: the file is the one that is asked for."""

    @contextmanager
    def open(self, item: Item, start: int) -> Iterator[Stream]:  # noqa: ARG002 (of the protocol)
        """Read the file from an offset on."""
        try:
            with self._path.open("rb") as file:
                file.seek(start)
                yield Stream(start, read_blocks(file, self._path))
        except OSError as error:
            raise SourceError(f"{self._path}: cannot be read: {error.strerror}") from error

    def local_path(self, item: Item) -> Path | None:  # noqa: ARG002 (of the protocol)
        """Return the path of the file."""
        return self._path

    def interpreters(self) -> Mapping[str, InterpreterConfig]:
        """Return none."""
        return {}
