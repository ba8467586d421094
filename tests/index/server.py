"""A package index on loopback: real HTTP, the pages and wheels of a repository, and faults on demand."""

import contextlib
import os
import select
import shutil
import socket
import struct
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from tests.index.answer import Answer, answer_with, answer_without_body
from tests.index.fault import Fault, FaultKind, FaultQueue
from tests.index.gate import Gate
from tests.index.repository import DEFAULT_ROOT, IndexRoot, Repository
from tests.index.request_log import Request, RequestLog
from tests.index.wheel import Wheel, WheelSpec, write_wheel

HOST = "127.0.0.1"
_UPLOAD_TIME = "2024-01-01T00:00:00Z"
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER for no time at all: close() sends RST
_POLL_S = 0.05
_DRIPS_PER_S = 10


class LocalIndex:
    """An index that a test fills, serves, watches and breaks; a context manager that stops it at its end.

    It starts when it is made. Everything may be changed while clients are served.

    Args:
        folder: Where the wheels are kept; a temporary folder that goes with the index if None.
        port: Port to listen on, 0 for a free one.
    """

    def __init__(self, folder: Path | None = None, *, port: int = 0) -> None:
        self._own_folder = None if folder else Path(tempfile.mkdtemp(prefix="monobase-index-"))
        self._folder = folder or self._own_folder or Path()
        self.repository = Repository()
        self.repository.add_root(DEFAULT_ROOT)
        self.log = RequestLog()
        self.faults = FaultQueue()
        self._gates: list[Gate] = []
        self.stopping = threading.Event()
        self._state = threading.RLock()
        self._requests_until_down: int | None = None
        self._down_for_s: float | None = None
        self._timers: list[threading.Timer] = []
        self._server: _Server | None = None
        self._held: socket.socket | None = None
        self._port = port
        self.go_up()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop for good: release the port, every connection and the temporary folder."""
        self.stopping.set()
        with self._state:
            timers, self._timers = self._timers, []
            gates, self._gates = self._gates, []
        for gate in gates:
            gate.open()
        for timer in timers:
            timer.cancel()
            timer.join()
        self.go_down()
        self._release_port()
        if self._own_folder:
            shutil.rmtree(self._own_folder, ignore_errors=True)

    @property
    def port(self) -> int:
        """Port of the index; it stays the same when the index goes down and up."""
        return self._port

    @property
    def origin(self) -> str:
        """Scheme, host and port."""
        return f"http://{HOST}:{self._port}"

    def url(self, root: IndexRoot = DEFAULT_ROOT) -> str:
        """Return the URL of an index for ``--index-url``."""
        return f"{self.origin}/{root.path}/"

    def add_root(self, root: IndexRoot) -> IndexRoot:
        """Add a further index, such as one of PyTorch's for a build, and return it."""
        self.repository.add_root(root)
        return root

    def add(
        self,
        wheel: WheelSpec | Wheel,
        root: IndexRoot = DEFAULT_ROOT,
        *,
        yanked: str | None = None,
        upload_time: str = _UPLOAD_TIME,
    ) -> Wheel:
        """List and serve a wheel.

        Args:
            wheel: A wheel, or the description of one to build.
            root: The index to list it on.
            yanked: Why the release was withdrawn, None where it was not.
            upload_time: RFC 3339 time in UTC, which ``--exclude-newer`` is held against.

        Returns:
            The wheel, with its hash and size.
        """
        if isinstance(wheel, WheelSpec):
            # A folder for each index: two of them may have different wheels of one name.
            wheel = write_wheel(wheel, self._folder / root.path.replace("/", "-"))
        self.repository.add(wheel, root, yanked=yanked, upload_time=upload_time)
        return wheel

    def inject(self, *faults: Fault) -> None:
        """Put faults in force until they are used up."""
        for fault in faults:
            self.faults.add(fault)

    @contextlib.contextmanager
    def fault(self, *faults: Fault) -> Iterator[None]:
        """Keep faults in force for the time of a ``with`` block."""
        self.inject(*faults)
        try:
            yield
        finally:
            for fault in faults:
                self.faults.remove(fault)

    @contextlib.contextmanager
    def gate(self, path: str) -> Iterator[Gate]:
        """Hold the answers to some requests until the gate is opened, or the ``with`` block is left.

        Args:
            path: Pattern (as of a shell) of the percent-decoded paths.

        Yields:
            The gate.
        """
        gate = Gate(path)
        with self._state:
            self._gates.append(gate)
        try:
            yield gate
        finally:
            gate.open()

    def hold_at_gates(self, path: str) -> bool:
        """Wait until all gates for a path are open; return whether one was not."""
        with self._state:
            gates = tuple(self._gates)
        held = [gate.hold(path) for gate in gates]
        return any(held)

    def go_down(self) -> None:
        """Refuse connections and reset the ones that are open."""
        with self._state:
            server, self._server = self._server, None
            self._requests_until_down = None
        if server is not None:
            server.end()
            self._hold_port()

    def go_up(self) -> None:
        """Serve again, on the same port."""
        with self._state:
            if self._server is None:
                self._server = _Server((HOST, self._port), self)
                self._port = self._server.server_port
                self._release_port()
                threading.Thread(target=self._server.serve_forever, args=(_POLL_S,), daemon=True).start()

    def _hold_port(self) -> None:
        """Keep the port of an index that is down: another process would get it, and answer in its place."""
        with self._state, contextlib.suppress(OSError):
            if self._server is None and self._held is None and not self.stopping.is_set():
                self._held = socket.socket()
                self._held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                self._held.bind((HOST, self._port))

    def _release_port(self) -> None:
        with self._state:
            held, self._held = self._held, None
        if held is not None:
            held.close()

    def go_down_after(self, requests: int, *, for_s: float | None = None) -> None:
        """Go down in the middle: serve so many more requests, then refuse all.

        Args:
            requests: How many more requests are answered.
            for_s: Seconds after which the index comes up by itself, None for staying down.
        """
        with self._state:
            self._requests_until_down = requests
            self._down_for_s = for_s

    @contextlib.contextmanager
    def down(self) -> Iterator[None]:
        """Stop answering for the time of a ``with`` block."""
        self.go_down()
        try:
            yield
        finally:
            self.go_up()

    def admits_request(self) -> bool:
        """Count a request; False means that the index went down before it."""
        with self._state:
            if self._requests_until_down is None:
                return True
            self._requests_until_down -= 1
            if self._requests_until_down >= 0:
                return True
            if self._server is not None and self._down_for_s is not None and not self.stopping.is_set():
                timer = threading.Timer(self._down_for_s, self.go_up)
                timer.daemon = True
                self._timers.append(timer)
                timer.start()
        self.go_down()
        return False


class _Server(ThreadingHTTPServer):
    """The listening socket and the connections of one life of an index."""

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], index: LocalIndex) -> None:
        self.index = index
        self._connections: set[socket.socket] = set()
        self._connections_lock = threading.Lock()
        super().__init__(address, _Handler)

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 (as in socketserver)
        with self._connections_lock:
            self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401
        with self._connections_lock:
            self._connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Leave a client that went away alone; anything else is a defect of the index."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def end(self) -> None:
        """Close the listening socket and reset every connection."""
        self.shutdown()
        self.server_close()
        with self._connections_lock:
            for connection in self._connections:
                with contextlib.suppress(OSError):
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
                    connection.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "monobase-test-index"
    disable_nagle_algorithm = True  # else a header and a body in two writes wait for a delayed ACK
    server: _Server

    def do_GET(self) -> None:
        self._serve()

    def do_HEAD(self) -> None:
        self._serve()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (as in http.server)
        """Write nothing: the log of requests has it."""

    def _serve(self) -> None:
        index = self.server.index
        path = unquote(urlsplit(self.path).path)
        if not index.admits_request():
            self._reset()
            return
        if index.hold_at_gates(path) and self._client_has_gone():
            self.close_connection = True
            return
        fault = index.faults.take(path)
        answer = index.repository.answer(path, {name.lower(): text for name, text in self.headers.items()})
        if fault is not None:
            if fault.kind is FaultKind.LATENCY:
                index.stopping.wait(fault.delay_s)
            elif fault.kind is FaultKind.STATUS:
                answer = answer_without_body(fault.status)
            elif fault.kind is FaultKind.SUBSTITUTE:
                answer = answer_with(fault.content, answer.headers, status=HTTPStatus.OK)
        is_cut_at_once = fault is not None and fault.kind is FaultKind.RESET and not fault.after_bytes
        status = 0 if is_cut_at_once else int(answer.status)
        request = Request(self.command, path, status, 0, answer.size_bytes, self.headers.get("Range"))
        number = index.log.add(request)
        if not is_cut_at_once:
            self._send_head(answer)
            if self.command != "HEAD":
                for chunk in _body(answer, fault):
                    request = replace(request, bytes_sent=request.bytes_sent + len(chunk))
                    index.log.update(number, request)
                    self.wfile.write(chunk)
                    self._pace(fault)
        self._break_off(fault)

    def _send_head(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        if answer.status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(answer.size_bytes))
        self.end_headers()

    def _pace(self, fault: Fault | None) -> None:
        if fault is not None and fault.kind is FaultKind.DRIP:
            self.server.index.stopping.wait(1 / _DRIPS_PER_S)

    def _break_off(self, fault: Fault | None) -> None:
        """End the connection in the way of the fault, once what it lets through is sent."""
        if fault is None:
            return
        if fault.kind is FaultKind.STALL:
            self._hold(fault.delay_s)
            self._reset()
        elif fault.kind is FaultKind.RESET:
            self._reset()
        elif fault.kind is FaultKind.TRUNCATE:
            self.close_connection = True

    def _hold(self, delay_s: float) -> None:
        """Wait until the time is over, the client goes away or the index stops."""
        end_s = time.monotonic() + delay_s
        while time.monotonic() < end_s and not self.server.index.stopping.wait(_POLL_S):
            if self._client_has_gone():
                return

    def _client_has_gone(self) -> bool:
        readable, _, _ = select.select([self.connection], [], [], 0)
        try:
            return bool(readable) and not self.connection.recv(1, socket.MSG_PEEK)
        except ConnectionError:
            return True

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        # socket.close() would wait for the files that http.server keeps on it, so close the descriptor.
        os.close(self.connection.detach())


def _body(answer: Answer, fault: Fault | None) -> Iterator[bytes]:
    """Yield the body as a fault leaves it."""
    if fault is None:
        yield from answer.chunks()
    elif fault.kind in {FaultKind.RESET, FaultKind.STALL, FaultKind.TRUNCATE}:
        yield from _first_bytes(answer, fault.after_bytes)
    elif fault.kind is FaultKind.CORRUPT:
        yield from _with_one_byte_changed(answer)
    elif fault.kind is FaultKind.DRIP:
        step_bytes = max(1, fault.bytes_per_s // _DRIPS_PER_S)
        for chunk in answer.chunks():
            for offset in range(0, len(chunk), step_bytes):
                yield chunk[offset : offset + step_bytes]
    else:
        yield from answer.chunks()


def _first_bytes(answer: Answer, left: int) -> Iterator[bytes]:
    for chunk in answer.chunks():
        if not left:
            return
        yield chunk[:left]
        left -= min(left, len(chunk))


def _with_one_byte_changed(answer: Answer) -> Iterator[bytes]:
    target = answer.size_bytes // 2
    offset = 0
    for chunk in answer.chunks():
        if offset <= target < offset + len(chunk):
            at = target - offset
            yield chunk[:at] + bytes([chunk[at] ^ 0xFF]) + chunk[at + 1 :]
        else:
            yield chunk
        offset += len(chunk)
