"""A server with scripted answers, for the rare faults that a real registry cannot be asked to show."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler

from tests.registry.loopback_server import loopback_server


@dataclass(frozen=True, slots=True)
class Request:
    """A request of a client.

    Attributes:
        method: How.
        path: What, with the query.
        headers: Its headers.
        body: Its body.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of the server.

    Attributes:
        status: The status.
        headers: Headers beside the length.
        body: The body.
    """

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


Script = Callable[[Request], Answer]


@dataclass(slots=True)
class ScriptedServer:
    """A server that runs.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        script: What it answers.
        requests: What it was asked.
    """

    port: int
    script: Script
    requests: list[Request] = field(default_factory=list)

    @property
    def host(self) -> str:
        """Prefix of its repositories."""
        return f"localhost:{self.port}"

    def asked(self) -> list[str]:
        """Return the methods and paths of all requests."""
        return [f"{request.method} {request.path}" for request in self.requests]


@contextmanager
def scripted_server(script: Script) -> Iterator[ScriptedServer]:
    """Run a server.

    Args:
        script: What it answers.

    Yields:
        The server; it ends with the context.
    """
    running = ScriptedServer(0, script)

    class Handler(_Handler):
        pass

    Handler.running = running
    with loopback_server(Handler) as running.port:
        yield running


class _Handler(BaseHTTPRequestHandler):
    running: ScriptedServer
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (as in the base class)
        """Log nothing."""

    def __getattr__(self, name: str) -> Callable[[], None]:
        # http.server looks for a method of its own for each of HTTP's.
        if name.startswith("do_"):
            return self._serve
        raise AttributeError(name)

    def _serve(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"] or 0))
        request = Request(self.command, self.path, dict(self.headers), body)
        self.running.requests.append(request)
        answer = self.running.script(request)
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != 204:
            self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(answer.body)
