"""Serves an interpreter where uv downloads its own from, and the list that has it."""

import json
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from tests.index.interpreter_archive import archive_entry, write_interpreter
from tests.mirror.web_folder import WebFolder, web_folder

_RELEASE = "20261101"
_ORIGIN = "https://github.com/astral-sh/python-build-standalone/releases/download"
VERSION = platform.python_version()


@dataclass(frozen=True, slots=True)
class PythonServer:
    """A server of one interpreter.

    Attributes:
        key: Key of the interpreter in uv.
        path: Path of its archive below the server.
        archive: The archive itself.
        web: The server.
        variables: Environment variables that lead uv to it.
        offline: Environment variables without the server: uv has only the list.
    """

    key: str
    path: str
    archive: Path
    web: WebFolder
    variables: dict[str, str]
    offline: dict[str, str]


@contextmanager
def python_server(folder: Path) -> Iterator[PythonServer]:
    """Serve the running interpreter as an archive, from a folder to make."""
    machine = platform.machine()
    name = f"cpython-{VERSION}+{_RELEASE}-{machine}-unknown-linux-gnu-install_only_stripped.tar.gz"
    archive = folder / "served" / _RELEASE / name
    archive.parent.mkdir(parents=True)
    digest = write_interpreter(archive, small=True)
    key, entry = archive_entry(VERSION, f"{_ORIGIN}/{_RELEASE}/{quote(name)}", digest)
    listed = folder / "downloads.json"
    listed.write_text(json.dumps({key: entry}))
    offline = {"UV_PYTHON_DOWNLOADS_JSON_URL": listed.as_uri()}
    with web_folder(folder / "served") as web:
        variables = {**offline, "UV_PYTHON_INSTALL_MIRROR": web.url}
        yield PythonServer(key, f"{_RELEASE}/{name}", archive, web, variables, offline)
