"""A server on loopback for one user: uv reaches it as its proxy, with a password.

A host name that no DNS resolves stands for it, so that its URLs are the same on every machine and port.
"""

import base64
import contextlib
import hmac
import secrets
import socket
import threading
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any, Self

from daemon.download_limit.proxy_variables import proxy_variables

_HOST = "127.0.0.1"
_USER = "monobase"
_PAUSE_S = 0.1


class LoopbackHandler(BaseHTTPRequestHandler):
    """Answers the requests of one connection."""

    server: "LoopbackServer"
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 60

    @property
    def is_admitted(self) -> bool:
        """True if the request has the password of the server."""
        return self.server.admits(self.headers.get("Proxy-Authorization", ""))

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (as in http.server)
        """Write nothing."""


class LoopbackServer(ThreadingTCPServer):  # an HTTPServer looks up the name of its host, which may take long
    """The server, as a context manager.

    Args:
        handler: Answers the requests.
        name: Name of its thread.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, handler: type[LoopbackHandler], name: str) -> None:
        super().__init__((_HOST, 0), handler)
        self._password = secrets.token_urlsafe()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._accept, name=name, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self.socket.shutdown(socket.SHUT_RDWR)  # ends `accept`
        self._thread.join()
        self.server_close()

    @property
    def variables(self) -> dict[str, str]:
        """The variables that make uv use the server for every host."""
        port = self.server_address[1]
        variables = proxy_variables(f"http://{_USER}:{self._password}@{_HOST}:{port}")
        return {name: value or "" for name, value in variables.items()}

    def admits(self, authorization: str) -> bool:
        """Return whether a header has the password."""
        expected = base64.b64encode(f"{_USER}:{self._password}".encode()).decode()
        return hmac.compare_digest(authorization.encode(), f"Basic {expected}".encode())

    def finish_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 (as in socketserver)
        """Serve a connection until its client closes it."""
        with contextlib.suppress(OSError):
            super().finish_request(request, client_address)

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
