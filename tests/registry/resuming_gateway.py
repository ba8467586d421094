"""A registry whose uploads survive a broken connection, as the specification has it.

distribution 2.8, which is Debian's docker-registry, drops an upload of which a part arrived incompletely: the
state that it gave away no longer fits. Other registries keep it. This stands before a docker-registry, takes
the uploads itself (OCI distribution-spec v1.1, "Pushing a blob in chunks", "Resuming a blob upload"), hands
each whole blob on, and lets all other requests pass.
"""

import http.client
import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import urlsplit

from tests.registry.loopback_server import loopback_server

_UPLOAD = re.compile(r"/v2/(?P<name>.+)/blobs/uploads/(?P<id>[0-9a-f]*)")
_BLOCK_BYTES = 1 << 16


@dataclass(slots=True)
class ResumingGateway:
    """A gateway that runs.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        target: Port of the registry behind it.
        directory: Where uploads are kept.
        longest_body: The longest body of a request that it saw, in bytes.
        resumed_at: Where parts began that a client sent after a failure, or in chunks.
        guard: For what threads share.
        turns: One request at a time for each upload.
    """

    port: int
    target: int
    directory: Path
    longest_body: int = 0
    resumed_at: list[int] = field(default_factory=list)
    guard: threading.Lock = field(default_factory=threading.Lock)
    turns: dict[str, threading.Lock] = field(default_factory=dict)


@contextmanager
def resuming_gateway(target: int, directory: Path) -> Iterator[ResumingGateway]:
    """Run a gateway.

    Args:
        target: Port on 127.0.0.1 of the registry behind it.
        directory: For uploads; it is made.

    Yields:
        The gateway.
    """
    directory.mkdir(parents=True)
    gateway = ResumingGateway(0, target, directory)

    class Handler(_Handler):
        pass

    Handler.gateway = gateway
    with loopback_server(Handler) as gateway.port:
        yield gateway


class _Handler(BaseHTTPRequestHandler):
    gateway: ResumingGateway
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (as in the base class)
        """Log nothing."""

    def handle(self) -> None:
        """Serve a connection; one that breaks is what the tests are about."""
        try:
            super().handle()
        except ConnectionError:
            self.close_connection = True

    def do_HEAD(self) -> None:
        """Pass it on."""
        self._pass_on()

    def do_DELETE(self) -> None:
        """Pass it on."""
        self._pass_on()

    def do_GET(self) -> None:
        """Report the offset of an upload, or forward the request."""
        if (found := self._upload()) is None:
            self._pass_on()
        else:
            # What a broken connection has brought is written first.
            with self._turn(found):
                if found.exists():
                    self._answer(204, found)
                else:
                    self._refuse(404)

    def do_POST(self) -> None:
        """Open an upload, or pass it on."""
        if self._upload() is None or "mount=" in self.path:
            self._pass_on()
            return
        path = self.gateway.directory / uuid.uuid4().hex
        path.touch()
        self._answer(202, path)

    def do_PATCH(self) -> None:
        """Take a part."""
        path = self._upload()
        if path is None or not path.exists():
            self._refuse(404)
            return
        with self._turn(path):
            self._append(path)

    def _append(self, path: Path) -> None:
        length = int(self.headers["Content-Length"])
        first = int((self.headers["Content-Range"] or "0").partition("-")[0])
        with self.gateway.guard:
            self.gateway.longest_body = max(length, self.gateway.longest_body)
            if first:
                self.gateway.resumed_at.append(first)
        if first != path.stat().st_size:
            self._refuse(416)
            return
        with path.open("ab", buffering=0) as file:
            while length:
                block = self.rfile.read1(min(length, _BLOCK_BYTES))
                if not block:
                    self.close_connection = True
                    return
                file.write(block)
                length -= len(block)
        self._answer(202, path)

    def do_PUT(self) -> None:
        """Hand a whole blob on, or pass it on."""
        path = self._upload()
        if path is None:
            self._pass_on()
            return
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.target)
        connection.request("POST", self._uploads(), headers={"Content-Length": "0"})
        location = urlsplit(self._body(connection)[0].headers["Location"])
        with path.open("rb") as file:
            connection.request(
                "PUT",
                f"{location.path}?{location.query}&{urlsplit(self.path).query}",
                file,
                {"Content-Length": str(path.stat().st_size), "Content-Type": "application/octet-stream"},
            )
            answer, body = self._body(connection)
        connection.close()
        path.unlink()
        self._give(answer, body)

    def _upload(self) -> Path | None:
        found = _UPLOAD.fullmatch(urlsplit(self.path).path)
        return None if found is None else self.gateway.directory / (found["id"] or "none")

    def _turn(self, path: Path) -> threading.Lock:
        with self.gateway.guard:
            return self.gateway.turns.setdefault(path.name, threading.Lock())

    def _uploads(self) -> str:
        return urlsplit(self.path).path.rpartition("/")[0] + "/"

    def _answer(self, status: int, path: Path) -> None:
        self.send_response(status)
        # A relative address: the specification allows it.
        self.send_header("Location", f"{self._uploads()}{path.name}")
        self.send_header("Range", f"0-{max(0, path.stat().st_size - 1)}")
        if status != 204:
            self.send_header("Content-Length", "0")
        self.end_headers()

    def _refuse(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True

    def _pass_on(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"] or 0))
        connection = http.client.HTTPConnection("127.0.0.1", self.gateway.target)
        connection.request(self.command, self.path, content, dict(self.headers))
        answer, body = self._body(connection)
        connection.close()
        self._give(answer, body)

    def _body(self, connection: http.client.HTTPConnection) -> tuple[http.client.HTTPResponse, bytes]:
        answer = connection.getresponse()
        return answer, answer.read()

    def _give(self, answer: http.client.HTTPResponse, body: bytes) -> None:
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name not in {"Date", "Connection", "Transfer-Encoding"}:
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
