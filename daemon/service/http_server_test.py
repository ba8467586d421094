"""The server, and clients of all kinds."""

import os
import socket
import threading
import time
from http import HTTPStatus
from pathlib import Path

import pytest

from daemon.errors import ListenError
from daemon.prefix.prefix import Prefix
from daemon.report.progress import Reporter
from daemon.service import http_server
from daemon.service.address import Address
from daemon.service.answers import Response, plain
from daemon.service.context import ServiceContext
from daemon.service.http_server import HttpServer
from daemon.service.options import ServiceOptions
from gens.catalog import Catalog
from gens.generation import Generation

_PATIENCE_S = 300.0
# Of a server whose deadline a test waits for, and of one whose deadline no request is to pass.
_SHORT_REQUEST_S, _LONG_REQUEST_S = 2.0, 3600.0


class _Node:
    """A server of a daemon that is not run, over a prefix without anything."""

    def __init__(self, directory: Path, request_s: float) -> None:
        generation = Generation(0, "x86_64-manylinux_2_28", "2026-11-01T00:00:00Z", {}, (), ())
        catalog = Catalog((generation,), directory)
        self.context = ServiceContext(
            Prefix(directory / "prefix"), lambda: catalog, Path("uv"), ServiceOptions(), Reporter(quiet=True)
        )
        self.server = HttpServer(self.context, Address("127.0.0.1", 0), request_s)
        self.server.start()

    def connect(self, source: str = "127.0.0.1") -> socket.socket:
        return socket.create_connection(
            ("127.0.0.1", self.server.address.port), timeout=_PATIENCE_S, source_address=(source, 0)
        )

    def ask(self, message: bytes) -> bytes:
        """Send something, and give all that comes back until the end of the connection."""
        with self.connect() as connection:
            connection.sendall(message)
            return _rest(connection)

    def get(self, path: str) -> int:
        return int(self.ask(f"GET {path} HTTP/1.1\r\n\r\n".encode()).split()[1])


def _rest(connection: socket.socket) -> bytes:
    received = b""
    try:
        while chunk := connection.recv(65_536):
            received += chunk
    except ConnectionResetError:
        pass
    return received


@pytest.fixture
def node(tmp_path: Path) -> _Node:
    return _Node(tmp_path, _LONG_REQUEST_S)


@pytest.fixture
def impatient_node(tmp_path: Path) -> _Node:
    return _Node(tmp_path, _SHORT_REQUEST_S)


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208


def test_an_answer_has_the_headers_of_a_safe_page(node: _Node) -> None:
    head = node.ask(b"GET / HTTP/1.1\r\n\r\n").partition(b"\r\n\r\n")[0]
    lines = head.split(b"\r\n")
    assert b"X-Content-Type-Options: nosniff" in lines
    assert any(line.startswith(b"Content-Security-Policy: default-src 'none';") for line in lines)
    assert b"Content-Security-Policy" not in node.ask(b"GET /healthz HTTP/1.1\r\n\r\n")


@pytest.mark.parametrize(
    ("message", "status"),
    [
        (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 200),
        (b"GET /healthz HTTP/1.0\r\n\r\n", 200),
        (b"HEAD /healthz HTTP/1.1\r\n\r\n", 200),
        (b"GET http://[::1]/healthz HTTP/1.1\r\n\r\n", 200),
        (b"GET /readyz HTTP/1.1\r\n\r\n", 503),
        (b"GET /metrics HTTP/1.1\r\n\r\n", 200),
        (b"GET / HTTP/1.1\r\n\r\n", 200),
        (b"GET http://[::1/readyz HTTP/1.1\r\n\r\n", 400),
        (b"GET //evil HTTP/1.1\r\n\r\n", 404),
        (b"GET /healthz/ HTTP/1.1\r\n\r\n", 404),
        (b"POST /readyz HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", 405),
        (b"OPTIONS * HTTP/1.1\r\n\r\n", 405),
        (b"CONNECT evil:443 HTTP/1.1\r\n\r\n", 405),
        (b"GET / HTTP/1.1\r\nbig: " + b"x" * 100_000 + b"\r\n\r\n", 431),
        (b"\x16\x03\x01", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
    ],
)
def test_each_message_has_one_answer(node: _Node, message: bytes, status: int) -> None:
    answer = node.ask(message)
    assert int(answer.split()[1]) == status
    assert answer.count(b"HTTP/1.1 ") == 1
    head, _, body = answer.partition(b"\r\n\r\n")
    length = next(
        int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.startswith(b"Content-Length")
    )
    assert len(body) == (0 if message.startswith(b"HEAD") else length)
    assert (b"Allow: GET, HEAD" in head) == (status == 405)


def test_one_request_is_answered_on_a_connection(node: _Node) -> None:
    answer = node.ask(b"GET /healthz HTTP/1.1\r\n\r\n" * 100)
    assert answer.count(b"HTTP/1.1 200") == 1


def test_who_sends_a_byte_now_and_then_keeps_nobody_out_and_no_descriptor(node: _Node) -> None:
    before = _descriptors()
    slow = []
    for _ in range(300):
        connection = node.connect()
        connection.sendall(b"GET /he")
        slow.append(connection)
    try:
        assert node.get("/healthz") == 200
        assert node.get("/readyz") == 503
        assert _descriptors() - before <= 300 + 64 + 10
    finally:
        for connection in slow:
            connection.close()


def test_a_flood_from_one_address_drops_no_connection_of_another(node: _Node) -> None:
    with node.connect("127.0.0.2") as probe:
        probe.sendall(b"GET /healthz HTTP/1.1\r\n")
        flood = [node.connect() for _ in range(200)]
        probe.sendall(b"\r\n")
        assert _rest(probe).startswith(b"HTTP/1.1 200")
        for connection in flood:
            connection.close()


def test_a_request_that_never_ends_has_a_deadline(impatient_node: _Node) -> None:
    with impatient_node.connect() as connection:
        connection.settimeout(0.1)
        connection.sendall(b"GET / HTTP/1.1\r\n")
        end = time.monotonic() + _PATIENCE_S
        received = b""
        while not received:
            assert time.monotonic() < end
            try:
                connection.sendall(b"a")
                received = connection.recv(1000)
            except TimeoutError:
                continue
        assert received.startswith(b"HTTP/1.1 408")


def test_who_does_not_read_a_big_answer_is_dropped(
    impatient_node: _Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    big = Response(HTTPStatus.OK, "text/plain", bytes(50_000_000))
    monkeypatch.setattr(http_server, "respond", lambda *_: big)
    with impatient_node.connect() as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert connection.recv(1) == b"H"  # the answer has begun
        end = time.monotonic() + _PATIENCE_S
        while len(impatient_node.server._connections) > 0:
            assert time.monotonic() < end
            time.sleep(0.05)
        assert len(_rest(connection)) < 50_000_000


def test_a_disk_that_hangs_leaves_healthz_and_has_a_deadline(
    impatient_node: _Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    hang = threading.Event()

    def wait(*_: object) -> Response:
        hang.wait()
        return plain(HTTPStatus.OK, "at last\n")

    monkeypatch.setattr(http_server, "respond", wait)
    waiting = [impatient_node.connect() for _ in range(20)]
    for connection in waiting:
        connection.sendall(b"GET /readyz HTTP/1.1\r\n\r\n")
    assert impatient_node.get("/healthz") == 200
    assert b"no answer was found" in _rest(waiting[0])
    hang.set()
    assert impatient_node.get("/readyz") == 200
    for connection in waiting:
        connection.close()


def test_many_who_ask_cost_no_more_than_one(node: _Node, monkeypatch: pytest.MonkeyPatch) -> None:
    go, asked = threading.Semaphore(0), threading.Semaphore(0)
    count = 0

    def slowly(*_: object) -> Response:
        nonlocal count
        count += 1
        asked.release()
        go.acquire()
        return plain(HTTPStatus.OK, f"{count}\n")

    monkeypatch.setattr(http_server, "respond", slowly)
    first = node.connect()
    first.sendall(b"GET /readyz HTTP/1.1\r\n\r\n")
    asked.acquire()
    others = [node.connect() for _ in range(30)]
    for connection in others:
        connection.sendall(b"GET /readyz HTTP/1.1\r\n\r\n")
    assert node.get("/healthz") == 200  # by now all of them were read
    go.release(2)
    assert _rest(first).endswith(b"\r\n\r\n1\n")
    # None got the answer that was begun before it asked.
    assert all(_rest(connection).endswith(b"\r\n\r\n2\n") for connection in others)
    for connection in (first, *others):
        connection.close()


def test_a_fault_of_ours_is_an_answer(node: _Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(node.context, "readiness", fail)
    assert node.get("/readyz") == 500
    assert node.get("/healthz") == 200


def test_the_loopback_of_ipv6_can_be_listened_at(node: _Node) -> None:
    try:
        server = HttpServer(node.context, Address("::1", 0))
    except ListenError:
        pytest.skip("this machine has no IPv6")
    server.start()
    with socket.create_connection(("::1", server.address.port), timeout=_PATIENCE_S) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        assert _rest(connection).startswith(b"HTTP/1.1 200")
