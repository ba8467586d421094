"""A folder for files that are on their way; the next run goes on with what a killed one has left."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.mirror.blob_part import BlobPart
from tools.mirror.durable_file import locked_file, make_directory, publish
from tools.mirror.errors import disk_error
from tools.mirror.receive import Supply
from tools.mirror.wanted import Item


class Spool:
    """A folder for files that are on their way; several runs may share it."""

    def __init__(self, directory: Path, say: Callable[[str], None]) -> None:
        """Use a folder, which is made when it is needed.

        Args:
            directory: The folder.
            say: Prints a line.
        """
        self.directory = directory
        self._say = say

    def receive(self, item: Item, supply: Supply, target: Path) -> None:
        """Receive a file, and give it its final name on the same file system.

        Args:
            item: The file.
            supply: The sources.
            target: Its final path.

        Raises:
            LackingError: No source has it.
            DiskError: The disk is full; what was received is kept for the next run.
        """
        with self._received(item, supply) as path:
            publish(path, target)

    @contextmanager
    def borrowed(self, item: Item, supply: Supply) -> Iterator[Path]:
        """Receive a file for as long as it is used, then remove it.

        Args:
            item: The file.
            supply: The sources.

        Yields:
            Its path.

        Raises:
            LackingError: No source has it.
            DiskError: The disk is full; what was received is kept for the next run.
        """
        with self._received(item, supply) as path:
            yield path
            path.unlink()

    @contextmanager
    def written(self, content: bytes) -> Iterator[Path]:
        """Write a small file for as long as it is used, then remove it.

        Raises:
            DiskError: The disk is full.
        """
        make_directory(self.directory)
        path: Path | None = None
        try:
            with tempfile.NamedTemporaryFile(dir=self.directory, delete=False) as file:
                path = Path(file.name)
                file.write(content)
        except OSError as error:
            raise disk_error(error, self.directory) from error
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    @contextmanager
    def _received(self, item: Item, supply: Supply) -> Iterator[Path]:
        path = self.directory / item.sha256
        with locked_file(path, lambda: self._say(f"{path}: another mirror receives it; waiting")) as file:
            part = BlobPart(file, path)
            supply.advance(part.received_bytes)
            supply.receive(item, part)
            part.sync()
            yield path
