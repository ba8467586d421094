"""Monobase's index on loopback, for one uv call: it lists the wheels of a lock, and serves no wheel.

uv finds a wheel in its cache by the URL of the index that lists it. If that were the machine's index, another
host, port or mirror of the same wheels would make a full cache useless. So environments are linked with this
one. Its URL is always the same, and its host is never resolved: uv reaches it through a proxy (this server
again), with a port and a password for one call.
"""

import base64
import contextlib
import hmac
import json
import secrets
import socket
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from daemon.download_limit.proxy_variables import proxy_variables
from gens.lock import LockedWheel

_HOST = "127.0.0.1"
_ORIGIN = "http://monobase.invalid"
_PAUSE_S = 0.1
_JSON = "application/vnd.pypi.simple.v1+json"


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


class _Handler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    server: "LockIndex"
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        body = None
        if not self.server.admits(self.headers.get("Proxy-Authorization", "")):
            status = HTTPStatus.PROXY_AUTHENTICATION_REQUIRED
        else:
            if f"{url.scheme}://{url.netloc}" == _ORIGIN:
                body = self.server.answer(url.path)
            status = HTTPStatus.NOT_FOUND if body is None else HTTPStatus.OK
        self.send_response(status)
        self.send_header("Content-Type", _JSON)
        # uv keeps no wheel that is served with `no-store`; pages differ from call to call.
        self.send_header("Cache-Control", "max-age=60" if url.path.endswith(".whl") else "no-store")
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (as in http.server)
        """Write nothing."""


class LockIndex(ThreadingTCPServer):  # an HTTPServer looks up the name of its host, which may take long
    """The server, as a context manager.

    Args:
        listings: The indexes.
        files: Contents of wheels that it serves, by file name; none but for a probe.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, listings: Iterable[Listing], files: Mapping[str, bytes] | None = None) -> None:
        super().__init__((_HOST, 0), _Handler)
        self._listings = tuple(listings)
        self._answers = {
            urlsplit(listing.url).path + wheel.name: _page(wheel)
            for listing in self._listings
            for wheel in listing.wheels
        }
        self._files = files or {}
        self._password = secrets.token_urlsafe()
        self.asked_for: set[str] = set()  # wheels that uv requested, as its cache lacks them
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._accept, name="lock index", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self.socket.shutdown(socket.SHUT_RDWR)  # ends `accept`
        self._thread.join()
        self.server_close()

    def _accept(self) -> None:
        """Serve until the end of the block. Not by `serve_forever`, which polls for its end.

        One connection that fails must not be the last one: any process of the machine can make many.
        """
        while not self._closing.is_set():
            try:
                request, address = self.get_request()
            except OSError:  # the client is gone, or the process has no file descriptor left
                self._closing.wait(_PAUSE_S)
                continue
            try:
                self.process_request(request, address)
            except (OSError, RuntimeError, MemoryError):  # no thread can be started
                self.shutdown_request(request)
                self._closing.wait(_PAUSE_S)

    def finish_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 (as in socketserver)
        """Serve a connection until its client closes it."""
        with contextlib.suppress(OSError):
            super().finish_request(request, client_address)

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
        port = self.server_address[1]
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
