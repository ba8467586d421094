"""Monobase's index on loopback, for one uv call: it lists the wheels of a lock, and serves no wheel.

uv finds a wheel in its cache by the URL of the index that lists it. If that were the machine's index, another
host, port or mirror of the same wheels would make a full cache useless. So environments are linked with this
one. Its URL is always the same, and its host is never resolved: uv reaches it through a proxy (this server
again), with a port and a password for one call.
"""

import base64
import contextlib
import hashlib
import hmac
import io
import json
import secrets
import socket
import threading
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from daemon.download_limit.proxy_variables import proxy_variables
from daemon.prefix.staging import private_folder
from daemon.uv.cache import in_the_way, move_wheel, stands_in
from daemon.uv.program import Uv
from gens.errors import MonobaseError
from gens.lock import LockedWheel

_HOST = "127.0.0.1"
_ORIGIN = "http://monobase.invalid"
_JSON = "application/vnd.pypi.simple.v1+json"
_TIMEOUT_S = 60
_PROBE = "monobase-probe"
_PROBE_FILE = "monobase_probe-1-py3-none-any.whl"


@dataclass(frozen=True, slots=True)
class Listing:
    """An index and the wheels that it lists.

    Attributes:
        name: Part of its URL; empty for the index that lists nearly all wheels.
        wheels: What it lists, no two of one package.
    """

    name: str
    wheels: tuple[LockedWheel, ...]

    @property
    def url(self) -> str:
        """URL of the index, the same on every machine."""
        return f"{_ORIGIN}/{self.name}/simple/" if self.name else f"{_ORIGIN}/simple/"


class LockIndex:
    """The server, as a context manager.

    Args:
        listings: The indexes.
        files: Contents of wheels that it serves, by file name; none but for a probe.
    """

    def __init__(self, listings: Iterable[Listing], files: Mapping[str, bytes] | None = None) -> None:
        self._listings = tuple(listings)
        self._answers = {
            urlsplit(listing.url).path + wheel.name: _page(wheel)
            for listing in self._listings
            for wheel in listing.wheels
        }
        self._files = files or {}
        self._password = secrets.token_urlsafe()
        self.asked_for: set[str] = set()  # wheels that uv requested, as its cache lacks them
        self._connections: set[socket.socket] = set()
        self._listener = socket.create_server((_HOST, 0), backlog=64)
        self._thread = threading.Thread(target=self._serve, name="lock index", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @property
    def configuration(self) -> str:
        """A `uv.toml` that names the indexes, and nothing else."""
        entries = [
            f"[[index]]\nurl = {json.dumps(listing.url)}\ndefault = {str(number == 0).lower()}\n"
            for number, listing in enumerate(self._listings)
        ]
        return "".join(entries)

    @property
    def variables(self) -> dict[str, str]:
        """The variables that make uv use the server."""
        port = self._listener.getsockname()[1]
        variables = proxy_variables(f"http://monobase:{self._password}@{_HOST}:{port}")
        return {name: value or "" for name, value in variables.items()} | {"UV_HTTP_RETRIES": "0"}

    def answer(self, path: str) -> bytes | None:
        """Return the page or file at a path; None if there is none."""
        page = self._answers.get(path.rstrip("/"))
        if page is not None:
            return page
        name = unquote(path.rpartition("/")[2])
        if name.endswith(".whl"):
            self.asked_for.add(name)
        return self._files.get(name)

    def admits(self, authorization: str) -> bool:
        """Return whether a header has the password."""
        expected = base64.b64encode(f"monobase:{self._password}".encode()).decode()
        return hmac.compare_digest(authorization.encode(), f"Basic {expected}".encode())

    def _serve(self) -> None:
        while True:
            try:
                connection, address = self._listener.accept()
            except OSError:
                return  # the listener was shut down
            connection.settimeout(_TIMEOUT_S)
            self._connections.add(connection)
            threading.Thread(target=self._talk, args=(connection, address), daemon=True).start()

    def _talk(self, connection: socket.socket, address: object) -> None:
        with connection, contextlib.suppress(OSError):
            _Handler(connection, address, self)
        self._connections.discard(connection)


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, connection: socket.socket, address: Any, index: LockIndex) -> None:  # noqa: ANN401
        self._index = index
        super().__init__(connection, address, index)  # type: ignore[arg-type]  # it is only kept

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        if not self._index.admits(self.headers.get("Proxy-Authorization", "")):
            status, body = HTTPStatus.PROXY_AUTHENTICATION_REQUIRED, b""
        else:
            found = self._index.answer(url.path) if f"{url.scheme}://{url.netloc}" == _ORIGIN else None
            status, body = (HTTPStatus.NOT_FOUND, b"") if found is None else (HTTPStatus.OK, found)
        self.send_response(status)
        self.send_header("Content-Type", _JSON)
        # uv does not cache a wheel that comes with `no-store`; a page differs from call to call.
        kept = url.path.endswith(".whl")
        self.send_header("Cache-Control", "max-age=60" if kept else "no-store")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (as in http.server)
        """Write nothing."""


class CacheFolders:
    """Finds the folders of Monobase's index in uv's cache, by a probe of uv, once for each binary."""

    _learnt: dict[tuple[object, ...], Path] = {}  # noqa: RUF012 (of the process)
    _guard = threading.Lock()

    def __init__(self, uv: Uv, python: Path) -> None:
        status = uv.program.stat()
        self._key = (status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size)
        self._uv = uv
        self._python = python

    def find(self, name: str = "") -> Path:
        """Return the folder of the wheels of an index, relative to the cache.

        Args:
            name: The name of the index; empty for the one that lists nearly all wheels.

        Raises:
            MonobaseError: This uv keeps wheels in another way.
        """
        key = (*self._key, name)
        with self._guard:
            if key not in self._learnt:
                self._learnt[key] = self._ask(name)
            return self._learnt[key]

    def adopt(self, cache: Path, wheel: LockedWheel) -> str | None:
        """Move a wheel to the folder of Monobase's index, whatever index it came from.

        Args:
            cache: The folder of uv's cache.
            wheel: The wheel.

        Returns:
            The name of the index that lists it then; None if the cache does not have it from an index.
        """
        own = _own_name(wheel)
        place = move_wheel(cache, self.find(), wheel)
        if place == "taken":  # by another wheel of the same file name: two indexes may have one each
            place, name = move_wheel(cache, self.find(own), wheel), own
        else:
            name = ""
        return name if place == "there" else None

    def hold(self, cache: Path, wheel: LockedWheel) -> bool:
        """Return whether a wheel is in a folder of Monobase's index: only examined wheels are."""
        return stands_in(cache, self.find(), wheel) or (
            in_the_way(cache, wheel) != [] and stands_in(cache, self.find(_own_name(wheel)), wheel)
        )

    def _ask(self, name: str) -> Path:
        content = _probe_wheel()
        wheel = LockedWheel(_PROBE, "1", hashlib.sha256(content).hexdigest(), _PROBE_FILE, len(content))
        with private_folder(self._uv.prefix) as folder:
            (folder / "requirements.txt").write_text(f"{_PROBE}==1 --hash=sha256:{wheel.sha256}\n")
            with LockIndex([Listing(name, (wheel,))], {_PROBE_FILE: content}) as index:
                self._uv.run(
                    "pip", "install", "--target", folder / "target", "--python", self._python, "--no-deps",
                    "--require-hashes", "-r", folder / "requirements.txt",
                    configuration=index.configuration,
                    variables={**index.variables, "UV_CACHE_DIR": str(folder / "cache")},
                )  # fmt: skip
            found = list((folder / "cache").glob(f"wheels-v*/**/{_PROBE}/*.http"))
            if len(found) != 1:
                raise MonobaseError(
                    f"{self._uv.program}: keeps wheels in its cache in a way that Monobase does not know; "
                    "use the uv of this release"
                )
            return found[0].parent.parent.relative_to(folder / "cache")


def _own_name(wheel: LockedWheel) -> str:
    return wheel.sha256[:16]


def _page(wheel: LockedWheel) -> bytes:
    """Return the page of a project (PEP 691)."""
    file = {
        "filename": wheel.filename,
        "url": f"{_ORIGIN}/wheels/{wheel.sha256}/{wheel.filename}",
        "hashes": {"sha256": wheel.sha256},
        "size": wheel.size_bytes,
    }
    page = {"meta": {"api-version": "1.1"}, "name": wheel.name, "versions": [wheel.version], "files": [file]}
    return json.dumps(page).encode()


def _probe_wheel() -> bytes:
    information = "monobase_probe-1.dist-info"
    members = {
        f"{information}/METADATA": f"Metadata-Version: 2.1\nName: {_PROBE}\nVersion: 1\n",
        f"{information}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{information}/RECORD": "",
    }
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as wheel:
        for name, text in members.items():
            wheel.writestr(zipfile.ZipInfo(name), text)
    return archive.getvalue()
