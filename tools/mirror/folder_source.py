"""A folder as a source: the tree of a mirror, or wheels side by side."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from gens.mirror_shape import INTERPRETERS_INDEX, InterpreterConfig, parse_interpreters_index
from tools.mirror.errors import AbsentError, SourceError
from tools.mirror.regular_file import open_regular, read_regular
from tools.mirror.source import Stream
from tools.mirror.wanted import Item

BLOCK_BYTES = 1 << 20


class FolderSource:
    """A folder on this machine; a wheel is taken for what it contains, not for where it is."""

    def __init__(self, directory: Path) -> None:
        """Use a folder.

        Args:
            directory: The folder.

        Raises:
            SourceError: It is not a folder.
        """
        if not directory.is_dir():
            raise SourceError(f"{directory}: is not a folder; name one, or a mirror, with --from")
        self.name = str(directory)
        self._directory = directory

    def locate(self, item: Item) -> None:
        """Check that the folder has a file of this name and size."""
        self._path(item)

    @contextmanager
    def open(self, item: Item, start: int) -> Iterator[Stream]:
        """Read a file from an offset on."""
        path = self._path(item)
        try:
            with open_regular(path) as file:
                file.seek(start)
                yield Stream(start, read_blocks(file, path))
        except OSError as error:
            raise SourceError(f"{path}: cannot be read: {error.strerror}") from error

    def local_path(self, item: Item) -> Path | None:
        """Return the path of the file."""
        return self._path(item)

    def interpreters(self) -> Mapping[str, InterpreterConfig]:
        """Return the interpreters of a tree; none of a folder of wheels."""
        path = self._directory / INTERPRETERS_INDEX
        try:
            return parse_interpreters_index(read_regular(path), str(path))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise SourceError(f"{path}: cannot be read: {error.strerror}") from error

    def _path(self, item: Item) -> Path:
        for path in (self._directory / item.path, self._directory / item.filename):
            try:
                size = path.stat().st_size if path.is_file() else None
            except OSError:
                size = None
            if size == item.size_bytes:
                return path
            if size is not None:
                raise AbsentError(
                    f"{path}: has {size} bytes, the lock names {item.size_bytes}: it is another file"
                )
        raise AbsentError(f"{self.name}: has no {item.filename}")


def read_blocks(file: IO[bytes], path: Path, size_bytes: int | None = None) -> Iterator[bytes]:
    """Read a file block by block.

    Args:
        file: The file.
        path: Its path, for messages.
        size_bytes: How much to read; None for all.

    Raises:
        SourceError: It cannot be read.
    """
    left = size_bytes
    while left is None or left > 0:
        try:
            block = file.read(BLOCK_BYTES if left is None else min(left, BLOCK_BYTES))
        except OSError as error:
            raise SourceError(f"{path}: cannot be read: {error.strerror}") from error
        if not block:
            return
        left = None if left is None else left - len(block)
        yield block
