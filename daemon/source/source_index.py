"""Monobase's index on loopback, from which uv downloads: pages from the locks, files from the sources.

Its URLs are the same on every machine, whatever the sources are: uv keys its cache by them.
`/simple/NAME/` lists the wheel of a lock, `/f/SHA256/FILE` is a wheel, `/interpreters/RELEASE/FILE` an
interpreter. All other hosts are refused: nothing that uv requests leaves the machine but to the sources.
"""

import contextlib
import threading
import time
import traceback
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from daemon.download_limit.rate_limit import RateLimit
from daemon.errors import SourceError
from daemon.source.blob_stream import CHUNK_BYTES, BlobStream
from daemon.source.body import Blob, Source
from daemon.source.failure import BrokenBlobError, SourceFailure, source_error
from daemon.source.ledger import Ledger
from daemon.source.loopback_server import LoopbackHandler, LoopbackServer
from daemon.source.project_page import CONTENT_TYPE, project_page
from daemon.uv.least_rate import LeastRate
from gens.lock import LockedWheel
from gens.mirror_shape import file_path

ORIGIN = "http://wheels.monobase.internal"
INDEX_URL = f"{ORIGIN}/simple/"
INTERPRETERS = "interpreters"
_MIRROR = f"{ORIGIN}/{INTERPRETERS}"
# A source may take its time; it is left for the next one long before.
_TIMEOUT_S = "600"
# uv drops all that is on its way when one file is not found: that answer comes when it has the others.
_QUIET_S = 10.0
_LONGEST_WAIT_S = 500.0
# A wrong blob breaks one answer for each source at most.
_RETRIES = "5"

Chunks = Generator[bytes, None, None]


class _Handler(LoopbackHandler):
    """Answers the requests of one connection."""

    server: "SourceIndex"
    timeout = 600  # uv may unpack for long before it reads on

    def do_GET(self) -> None:  # noqa: N802 (as in http.server)
        url = urlsplit(self.path)
        if not self.is_admitted:
            self._answer(HTTPStatus.PROXY_AUTHENTICATION_REQUIRED)
        elif f"{url.scheme}://{url.netloc}" != ORIGIN:
            self._answer(HTTPStatus.FORBIDDEN)
        elif (page := self.server.page(url.path)) is not None:
            self._answer(HTTPStatus.OK, page)
        else:
            self._stream(self.server.streams(unquote(url.path)))

    def do_CONNECT(self) -> None:  # noqa: N802
        self._answer(HTTPStatus.FORBIDDEN)

    def _answer(self, status: HTTPStatus, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Type", CONTENT_TYPE)
        self.send_header("Cache-Control", "no-store")  # pages differ from call to call
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, streams: Iterator[BlobStream]) -> None:
        """Send the first blob of which anything arrives; break the answer off if it is not complete."""
        for stream in streams:
            chunks = stream.chunks()
            try:
                first = next(chunks)
            except SourceError as error:
                self.server.note(stream.blob, error)
                self.server.await_others()
                continue
            with self.server.transfer(stream, chunks):
                self.send_response(HTTPStatus.OK)
                self.send_header("Content-Type", "application/octet-stream")
                # uv keeps no wheel that is served with `no-store`.
                self.send_header("Cache-Control", "max-age=600")
                self.send_header("Content-Length", str(stream.blob.size_bytes))
                self.end_headers()
                try:
                    self._send(first)
                    for chunk in chunks:
                        self._send(chunk)
                except BrokenBlobError:
                    self.server.note(stream.blob, stream.error())
                    self.close_connection = True
            return
        self._answer(HTTPStatus.NOT_FOUND)

    def _send(self, chunk: bytes) -> None:
        for piece in self.server.paced(chunk):
            self.connection.sendall(piece)


class SourceIndex(LoopbackServer):
    """The index, as a context manager.

    Args:
        ways: What is tried in this order: some sources, or None for the index of each lock.
        ledger: Counts what the sources send.
        least: The least rate of a source; None for no limit.
        limit: What all downloads together may take; None for no limit.
    """

    def __init__(
        self,
        ways: Sequence[tuple[Source, ...] | None],
        ledger: Ledger,
        least: LeastRate | None = None,
        limit: RateLimit | None = None,
    ) -> None:
        super().__init__(_Handler, "source index")
        self.ways = tuple(ways)
        self.ledger = ledger
        self._least = least
        self._limit = limit
        self._chunk_bytes = CHUNK_BYTES if limit is None else limit.chunk_bytes
        self._pages: dict[str, LockedWheel] = {}
        self._offered: dict[str, tuple[LockedWheel, tuple[Source, ...]]] = {}
        self._failures: dict[str, SourceError] = {}
        self._guard = threading.Lock()
        self._turn = threading.Lock()
        self._changed_s = time.monotonic()
        self._changed = threading.Condition()
        self._sending: list[BlobStream] = []
        self._interpreter_digests: set[str] = set()
        self._left: dict[str, Chunks] = {}  # by digest: the rest of what a client did not wait for
        self._pending: set[str] = set()  # digests of what is offered, and neither came nor failed

    @property
    def configuration(self) -> str:
        """A `uv.toml` that names the index, and nothing else."""
        return f'[[index]]\nurl = "{INDEX_URL}"\ndefault = true\n'

    @property
    def variables(self) -> dict[str, str]:
        """The variables that make uv use the index."""
        return {
            **super().variables,
            "UV_HTTP_RETRIES": _RETRIES, "UV_HTTP_TIMEOUT": _TIMEOUT_S,
        }  # fmt: skip

    def interpreter_variables(self, variables: Mapping[str, str]) -> dict[str, str]:
        """Return the variables that make uv install interpreters from the sources.

        Args:
            variables: The machine's variables: a list of downloads that is a file counts, one on a host does
                not, as uv requests nothing beside the sources.
        """
        listed = variables.get("UV_PYTHON_DOWNLOADS_JSON_URL", "")
        own = {"UV_PYTHON_INSTALL_MIRROR": _MIRROR}
        if listed and ("://" not in listed or listed.startswith("file://")):
            own["UV_PYTHON_DOWNLOADS_JSON_URL"] = listed
        return {**self.variables, **own}

    @contextmanager
    def offer(self, wheels: Iterable[LockedWheel], sources: tuple[Source, ...]) -> Iterator[None]:
        """List wheels while the block runs.

        Args:
            wheels: The wheels, no two of one package in all blocks that run.
            sources: The sources that they come from.
        """
        offered = tuple(wheels)
        with self._guard:
            for wheel in offered:
                self._pages[wheel.name] = wheel
                self._offered[wheel.sha256] = wheel, sources
                self._failures.pop(wheel.sha256, None)
        digests = {wheel.sha256 for wheel in offered}
        self._drop_left(digests)
        self._settle(pending=digests)
        try:
            yield
        finally:
            self._settle(digests)
            with self._guard:
                for wheel in offered:
                    self._pages.pop(wheel.name, None)
                    self._offered.pop(wheel.sha256, None)

    def __exit__(self, *details: object) -> None:
        """End the server, and close what is still connected to a source."""
        super().__exit__(*details)
        self._drop_left(list(self._left))

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401, ARG002 (as in socketserver)
        """Report a fault of Monobase itself; the connection is closed, and uv tries again."""
        self.ledger.warn(f"a fault of monobase itself:\n{traceback.format_exc()}")

    def page(self, path: str) -> bytes | None:
        """Return the page of a project; None where the path is none, or the project is not offered."""
        top, _, name = path.strip("/").partition("/")
        with self._guard:
            wheel = self._pages.get(name) if top == "simple" else None
        if wheel is None:
            return None
        return project_page(wheel, f"{ORIGIN}/f/{wheel.sha256}/{quote(wheel.filename)}")

    def streams(self, path: str) -> Iterator[BlobStream]:
        """Yield what a path may be answered with: the first of which anything arrives."""
        top, _, rest = path.strip("/").partition("/")
        if top == "f":
            with self._guard:
                offered = self._offered.get(rest.partition("/")[0])
            if offered is not None:
                wheel, sources = offered
                blob = Blob(
                    wheel.sha256, wheel.size_bytes, wheel.filename, file_path(wheel.sha256, wheel.filename)
                )
                yield self._stream(blob, sources)
        elif top == INTERPRETERS:
            yield from self._interpreters(rest)

    def note(self, blob: Blob, error: SourceError) -> None:
        """Note why a blob could not be sent."""
        with self._guard:
            self._failures[blob.sha256] = error
        self._settle({blob.sha256})

    def failure_of(self, key: str) -> SourceError | None:
        """Return why the last request for a file failed, if it did.

        Args:
            key: Digest of a wheel, or `INTERPRETERS`.
        """
        with self._guard:
            return self._failures.get(key)

    @contextmanager
    def transfer(self, stream: BlobStream, chunks: Chunks) -> Iterator[None]:
        """Count a file that is on its way while the block runs; keep its rest if the client leaves.

        Args:
            stream: The stream of the file.
            chunks: What it yields.
        """
        self._settle(begun=stream)
        try:
            yield
        except OSError:
            with self._changed:
                self._left[stream.blob.sha256] = chunks
            raise
        except BaseException:
            chunks.close()
            raise
        finally:
            self._settle(ended=stream)

    def finds_wrong(self, sha256: str = "") -> bool:
        """Return whether a source has sent other bytes of a file, so that uv should ask for it again.

        uv unpacks while it downloads, and gives up at the first byte that it cannot make sense of. The rest
        is read then, and not handed on: only the end tells whether the source is wrong, or the file itself.

        Args:
            sha256: Digest of the wheel; empty for the interpreters that were asked for.
        """
        meant = {sha256} if sha256 else set(self._interpreter_digests)
        with self._changed:
            self._changed.wait_for(
                lambda: not any(stream.blob.sha256 in meant for stream in self._sending), _LONGEST_WAIT_S
            )
            left = [self._left.pop(digest, None) for digest in meant]
        for chunks in filter(None, left):
            with contextlib.suppress(SourceError, BrokenBlobError):
                for chunk in chunks:
                    for _ in self.paced(chunk):
                        pass
        found = {digest for digest in meant if self.ledger.take_found(digest)}
        return bool(found)

    def _drop_left(self, digests: Iterable[str]) -> None:
        """Close the connections of streams that nobody waits for."""
        with self._changed:
            left = [self._left.pop(digest, None) for digest in digests]
        for chunks in filter(None, left):
            chunks.close()

    def arrived(self, wheel: LockedWheel) -> None:
        """Note that uv has unpacked a wheel that is offered."""
        self._settle({wheel.sha256})

    def await_others(self) -> None:
        """Wait until all other wheels on offer have arrived or failed, or nothing happens any more."""
        end_s = time.monotonic() + _LONGEST_WAIT_S
        with self._changed:
            self._changed_s = time.monotonic()
            while self._pending and (now_s := time.monotonic()) < end_s:
                quiet_s = now_s - self._changed_s
                if not self._sending and quiet_s >= _QUIET_S:
                    return  # uv downloads one by one, and this answer keeps it from the next one
                self._changed.wait(end_s - now_s if self._sending else _QUIET_S - quiet_s)

    def _settle(
        self,
        settled: Set[str] = frozenset(),
        *,
        pending: Set[str] = frozenset(),
        begun: BlobStream | None = None,
        ended: BlobStream | None = None,
    ) -> None:
        with self._changed:
            if begun is not None:
                self._sending.append(begun)
            if ended is not None:
                self._sending = [stream for stream in self._sending if stream is not ended]
            self._pending = (self._pending | pending) - settled
            self._changed_s = time.monotonic()
            self._changed.notify_all()

    def paced(self, chunk: bytes) -> Iterator[bytes | memoryview]:
        """Yield bytes when they may pass: with a limit, in pieces that let all downloads take turns."""
        if self._limit is None:
            yield chunk
            return
        whole = memoryview(chunk)
        for offset in range(0, len(chunk), self._chunk_bytes):
            piece = whole[offset : offset + self._chunk_bytes]
            with self._turn:
                delay_s = self._limit.delay_s(len(piece), time.monotonic())
            time.sleep(delay_s)
            yield piece

    def _interpreters(self, path: str) -> Iterator[BlobStream]:
        said: list[tuple[str, SourceFailure]] = []
        with self._guard:
            self._failures.pop(INTERPRETERS, None)
        for source in (source for way in self.ways for source in way or ()):
            failure = self.ledger.refusal(source.name, path)
            if failure is None:
                try:
                    blob = source.find_interpreter(path)
                except SourceFailure as found:
                    failure = found
                    self.ledger.fail(source.name, found, path, path)
                else:
                    with self._guard:
                        self._interpreter_digests.add(blob.sha256)
                    stream = self._stream(blob, (source,))
                    yield stream
                    said += stream.said
                    continue
            said.append((source.name, failure))
        with self._guard:
            self._failures[INTERPRETERS] = source_error(path, said)

    def _stream(self, blob: Blob, sources: Sequence[Source]) -> BlobStream:
        return BlobStream(blob, sources, self.ledger, self._least, self._chunk_bytes)
