"""A mirror's tree as a source that a web server or a bucket serves."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

from gens.mirror_shape import INTERPRETERS_INDEX, InterpreterConfig, parse_interpreters_index
from tools.mirror.errors import AbsentError
from tools.mirror.source import Stream
from tools.mirror.wanted import Item
from tools.mirror.web import Web, shown


class TreeSource:
    """A tree behind a URL."""

    def __init__(self, url: str, web: Web) -> None:
        """Use a tree.

        Args:
            url: Its URL.
            web: The connections.
        """
        self._url = url.rstrip("/")
        self._web = web
        self.name = shown(url)

    def locate(self, item: Item) -> None:
        """Check that the server has a file, by a HEAD request."""
        self._web.exists(self._address(item.path))

    @contextmanager
    def open(self, item: Item, start: int) -> Iterator[Stream]:
        """Read a file from an offset on."""
        with self._web.open(self._address(item.path), start) as stream:
            yield stream

    def local_path(self, item: Item) -> Path | None:  # noqa: ARG002 (of the protocol)
        """Return None: the file is not on this machine."""
        return None

    def interpreters(self) -> Mapping[str, InterpreterConfig]:
        """Return the interpreters of the tree."""
        try:
            content, _ = self._web.read(self._address(INTERPRETERS_INDEX))
        except AbsentError:
            return {}
        return parse_interpreters_index(content, f"{self.name}/{INTERPRETERS_INDEX}")

    def _address(self, path: str) -> str:
        return f"{self._url}/{quote(path)}"
