"""An interpreter as uv downloads them: made of an installed one, since GitHub serves the real ones.

The archive has the shape of python-build-standalone's `install_only` ones, and the list that of what
`UV_PYTHON_DOWNLOADS_JSON_URL` names, so that the installer goes its own way to a managed interpreter.
"""

import hashlib
import io
import json
import platform
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import BinaryIO

_MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
_ARCHIVE = "cpython.tar.gz"
_LIST = "downloads.json"
_SELDOM = (
    "idlelib", "lib2to3", "distutils", "ctypes/test", "tkinter", "turtledemo", "asyncio", "multiprocessing",
    "xml", "ensurepip", "pydoc_data", "wsgiref", "sqlite3", "curses", "dbm",
)  # fmt: skip
_LEFT_OUT = ("__pycache__", "/test/", "/site-packages/", "/dist-packages/", "/config-")


@dataclass(frozen=True, slots=True)
class Installation:
    """An installed interpreter.

    Attributes:
        base: The folder of its `bin` and `lib`.
        minor: Its minor version.
        machine: The machine that it runs on, as `platform.machine()` names it.
    """

    base: Path
    minor: str
    machine: str


RUNNING = Installation(Path(sys.base_prefix), _MINOR, platform.machine())


@dataclass(frozen=True, slots=True)
class InterpreterMirror:
    """A mirror from which uv installs the interpreter.

    Attributes:
        list_url: For `UV_PYTHON_DOWNLOADS_JSON_URL`.
        lost: Versions whose archive is answered with 404; a test may change it.
        downloads: The versions whose archives were asked for, in the order of the requests.
    """

    list_url: str
    lost: set[str]
    downloads: list[str]


@contextmanager
def interpreter_mirror(
    directory: Path,
    versions: tuple[str, ...] = (platform.python_version(),),
    *,
    small: bool = False,
    installation: Installation = RUNNING,
) -> Iterator[InterpreterMirror]:
    """Serve an interpreter on loopback.

    Args:
        directory: For the archive and the list; it is made.
        versions: Full versions that the list offers; each is the same archive.
        small: Whether the half of the library is left out that environments of tests do not import.
        installation: The interpreter; the running one by default.

    Yields:
        Where it is.
    """
    directory.mkdir(parents=True)
    digest = write_interpreter(directory / _ARCHIVE, small=small, installation=installation)
    mirror = InterpreterMirror("", set(), [])

    class Handler(SimpleHTTPRequestHandler):
        def send_head(self) -> io.BytesIO | BinaryIO | None:
            version, _, name = self.path.strip("/").rpartition("/")
            if name == _ARCHIVE and self.command == "GET":
                mirror.downloads.append(version)
            if version in mirror.lost:
                self.send_error(404)
                return None
            self.path = f"/{name}"
            return super().send_head()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (as in http.server)
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(directory))) as server:
        url = f"http://127.0.0.1:{server.server_port}"
        entries = dict(
            archive_entry(version, f"{url}/{version}/{_ARCHIVE}", digest, installation.machine)
            for version in versions
        )
        (directory / _LIST).write_text(json.dumps(entries))
        Thread(target=server.serve_forever, daemon=True).start()
        yield replace(mirror, list_url=f"{url}/{_LIST}")
        server.shutdown()


def write_interpreter(path: Path, *, small: bool = False, installation: Installation = RUNNING) -> str:
    """Write an archive of an interpreter, with all below the folder `python`.

    Args:
        path: The archive to write.
        small: Whether what few programs import is left out.
        installation: The interpreter; the running one by default.

    Returns:
        Its SHA-256 in hexadecimal digits.
    """
    base, minor = installation.base, installation.minor
    # Debian's library has links into /etc: their files, since uv takes no link out of the folder.
    with tarfile.open(path, "w:gz", compresslevel=1, dereference=True) as archive:
        archive.add((base / "bin" / f"python{minor}").resolve(), f"python/bin/python{minor}")
        archive.add(
            base / "lib" / f"python{minor}", f"python/lib/python{minor}", filter=_few if small else _wanted
        )
        headers = base / "include" / f"python{minor}"
        if not small and headers.is_dir():  # Debian has them in a package of its own
            archive.add(headers, f"python/include/python{minor}")
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _wanted(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if any(part in f"{member.name}/" for part in _LEFT_OUT) else member


def _few(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return None if any(f"/{part}/" in f"{member.name}/" for part in _SELDOM) else _wanted(member)


def archive_entry(
    version: str, url: str, digest: str, machine: str = RUNNING.machine
) -> tuple[str, dict[str, object]]:
    """Return the key and the entry of an archive in a list of downloads.

    Args:
        version: Full version of the interpreter.
        url: Where the archive is.
        digest: Its SHA-256 in hexadecimal digits.
        machine: The machine that it runs on.
    """
    major, minor, patch = map(int, version.split("."))
    entry = {
        "name": "cpython", "arch": {"family": machine, "variant": None}, "os": "linux", "libc": "gnu",
        "major": major, "minor": minor, "patch": patch, "prerelease": "", "url": url, "sha256": digest,
        "variant": None, "build": "20261101",
    }  # fmt: skip
    return f"cpython-{version}-linux-{machine}-gnu", entry
