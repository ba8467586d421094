"""What the daemon answers: `/`, `/healthz`, `/readyz`, `/metrics`."""

import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar
from urllib.parse import parse_qs, urlsplit

import msgspec

from daemon.errors import ListenError
from daemon.metrics import CONTENT_TYPE
from daemon.readiness import readiness_text
from daemon.service import Service
from daemon.status_page import status_page
from gens.errors import MonobaseError

_ADDRESS = re.compile(r"(?:\[(?P<six>[^\]]*)\]|(?P<host>[^:\[\]]*)):(?P<port>[0-9]{1,5})")
_REQUEST_TIMEOUT_S = 10
_JSON = "application/json"
_PLAIN = "text/plain; charset=utf-8"
_HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen.

    Attributes:
        host: A name or an address; empty for all of the machine's.
        port: TCP port; 0 for a free one.
    """

    host: str
    port: int


def parse_address(text: str) -> Address:
    """Read `HOST:PORT`, `:PORT` or `[ADDRESS]:PORT`.

    Raises:
        ValueError: It is none of these.
    """
    found = _ADDRESS.fullmatch(text)
    if found is None or int(found["port"]) > 65535:
        raise ValueError(f"{text!r} is not HOST:PORT, such as 0.0.0.0:8080, :8080 or [::1]:8080")
    return Address(found["six"] if found["six"] is not None else found["host"], int(found["port"]))


@dataclass(frozen=True, slots=True)
class Response:
    """An answer."""

    status: HTTPStatus
    content_type: str
    body: bytes


def respond(service: Service, path: str, accept: str, query: dict[str, list[str]]) -> Response:
    """Answer a GET.

    Args:
        service: The daemon.
        path: Path of the URL.
        accept: The `Accept` header.
        query: What the URL asks besides.

    Returns:
        The answer.
    """
    if path == "/healthz":
        alive = service.state.alive
        return _plain(
            HTTPStatus.OK if alive else HTTPStatus.SERVICE_UNAVAILABLE, "ok\n" if alive else "stopped\n"
        )
    if path not in _PAGES:
        return _plain(HTTPStatus.NOT_FOUND, "there are /, /healthz, /readyz and /metrics\n")
    try:
        return _PAGES[path](service, accept, query)
    except (MonobaseError, OSError) as error:
        return _plain(HTTPStatus.SERVICE_UNAVAILABLE, f"{error}\n")


def _readyz(service: Service, accept: str, query: dict[str, list[str]]) -> Response:
    readiness = service.readiness()
    status = HTTPStatus.OK if readiness.ready else HTTPStatus.SERVICE_UNAVAILABLE
    if query.get("format") == ["text"] or accept.startswith("text/plain"):
        return Response(status, _PLAIN, readiness_text(readiness).encode())
    body = {**asdict(readiness), "activity": service.state.activity}
    return Response(status, _JSON, msgspec.json.format(msgspec.json.encode(body), indent=1) + b"\n")


def _metrics(service: Service, _accept: str, _query: dict[str, list[str]]) -> Response:
    return Response(HTTPStatus.OK, CONTENT_TYPE, service.metrics.exposition())


def _page(service: Service, _accept: str, _query: dict[str, list[str]]) -> Response:
    try:
        room = os.statvfs(service.prefix.root)
        free_bytes = room.f_bavail * room.f_frsize
    except OSError:
        free_bytes = None
    page = status_page(service.readiness(), service.state, str(service.prefix.root), free_bytes, time.time())
    return Response(HTTPStatus.OK, _HTML, page.encode())


_PAGES: dict[str, Callable[[Service, str, dict[str, list[str]]], Response]] = {
    "/": _page,
    "/readyz": _readyz,
    "/metrics": _metrics,
}


def _plain(status: HTTPStatus, text: str) -> Response:
    return Response(status, _PLAIN, text.encode())


class HttpServer:
    """The server, in threads of its own."""

    def __init__(self, service: Service, address: Address) -> None:
        class Handler(_Handler):
            daemon_service = service

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            block_on_close = False
            address_family = socket.AF_INET6 if ":" in address.host else socket.AF_INET

            def handle_error(self, request: object, client_address: object) -> None:
                # A client that went away is no news; anything else is a fault to see.
                if not isinstance(sys.exception(), ConnectionError | TimeoutError):
                    super().handle_error(request, client_address)  # type: ignore[arg-type]

        try:
            self._server = Server((address.host, address.port), Handler)
        except OSError as error:
            raise ListenError(
                f"--listen {address.host}:{address.port}: {error.strerror or error}; give an address of this "
                "machine and a port that nothing else listens on"
            ) from error
        self.address = Address(address.host, self._server.server_port)
        self._thread = threading.Thread(target=self._server.serve_forever, name="http", daemon=True)

    def start(self) -> None:
        """Answer from now on."""
        self._thread.start()


class _Handler(BaseHTTPRequestHandler):
    daemon_service: ClassVar[Service]
    timeout = _REQUEST_TIMEOUT_S  # a client that sends nothing does not keep its thread
    server_version = "monobase"
    sys_version = ""

    def do_GET(self) -> None:
        """Answer a GET."""
        self._answer(body=True)

    def do_HEAD(self) -> None:
        """Answer a HEAD."""
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        url = urlsplit(self.path)
        response = respond(self.daemon_service, url.path, self.headers.get("Accept", ""), parse_qs(url.query))
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(response.body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if body:
            self.wfile.write(response.body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (the name is the library's)
        """Say nothing: a probe every few seconds is no news."""
