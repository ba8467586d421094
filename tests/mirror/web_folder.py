"""Serves a folder as any web server without ranges does."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass(slots=True)
class WebFolder:
    """A server that runs.

    Attributes:
        url: Its URL.
        asked: The paths that it was asked for.
    """

    url: str
    asked: list[str] = field(default_factory=list)


@contextmanager
def web_folder(folder: Path) -> Iterator[WebFolder]:
    """Serve a folder on loopback."""
    web = WebFolder("")

    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:  # noqa: A002, ARG002 (as in http.server)
            web.asked.append(self.path)

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=str(folder))) as server:
        web.url = f"http://127.0.0.1:{server.server_port}"
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield web
        finally:
            server.shutdown()
