"""Monobase's index on loopback, for one uv call: it lists the wheels of a lock, and serves no wheel.

uv finds a wheel in its cache by the URL of the index that lists it. If that were the machine's index, another
host, port or mirror of the same wheels would make a full cache useless. So environments are linked with this
one. Its URL is always the same, and its host is never resolved: uv reaches it through a proxy (this server
again), with a port and a password for one call.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import unquote, urlsplit

from daemon.source.loopback_server import LoopbackHandler, LoopbackServer
from daemon.source.project_page import CONTENT_TYPE, project_page
from gens.lock import LockedWheel

_ORIGIN = "http://monobase.invalid"


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


class _Handler(LoopbackHandler):
    """Answers the requests of one connection."""

    server: "LockIndex"

    def do_GET(self) -> None:  # noqa: N802 (as in http.server)
        url = urlsplit(self.path)
        body = None
        if not self.is_admitted:
            status = HTTPStatus.PROXY_AUTHENTICATION_REQUIRED
        else:
            if f"{url.scheme}://{url.netloc}" == _ORIGIN:
                body = self.server.answer(url.path)
            status = HTTPStatus.NOT_FOUND if body is None else HTTPStatus.OK
        self.send_response(status)
        self.send_header("Content-Type", CONTENT_TYPE)
        # uv keeps no wheel that is served with `no-store`; pages differ from call to call.
        self.send_header("Cache-Control", "max-age=60" if url.path.endswith(".whl") else "no-store")
        self.send_header("Content-Length", str(len(body or b"")))
        self.end_headers()
        self.wfile.write(body or b"")


class LockIndex(LoopbackServer):
    """The server, as a context manager.

    Args:
        listings: The indexes.
        files: Contents of wheels that it serves, by file name; none but for a probe.
    """

    def __init__(self, listings: Iterable[Listing], files: Mapping[str, bytes] | None = None) -> None:
        super().__init__(_Handler, "lock index")
        self._listings = tuple(listings)
        self._answers = {
            urlsplit(listing.url).path + wheel.name: project_page(
                wheel, f"{_ORIGIN}/wheels/{wheel.sha256}/{wheel.filename}"
            )
            for listing in self._listings
            for wheel in listing.wheels
        }
        self._files = files or {}
        self.asked_for: set[str] = set()  # wheels that uv requested, as its cache lacks them

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
        return super().variables | {"UV_HTTP_RETRIES": "0"}

    def answer(self, path: str) -> bytes | None:
        """Return the page or file at a path; None if there is none."""
        page = self._answers.get(path.rstrip("/"))
        if page is not None:
            return page
        name = unquote(path.rpartition("/")[2])
        if name.endswith(".whl"):
            self.asked_for.add(name)
        return self._files.get(name)
