"""Tests of the shaped link with real sockets; no time is asserted."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.bench.cold_start.calibration import calibrate
from tests.bench.cold_start.shaped_link import ShapedLink, shaped_link
from tests.bench.cold_start.token_bucket import TokenBucket

_ANSWER = bytes(range(256)) * 8192


class CountingBucket(TokenBucket):
    """A bucket that never waits, and knows what passed."""

    def __init__(self) -> None:
        super().__init__()
        self.taken_bytes = 0

    def take(self, size_bytes: int) -> None:
        self.taken_bytes += size_bytes


@contextmanager
def server() -> Iterator[int]:
    """Serve one answer for each connection that sends a line, then wait for the client to close."""

    def serve(connection: socket.socket) -> None:
        with connection:
            if connection.recv(64) == b"please\n":
                connection.sendall(_ANSWER)

    def accept() -> None:
        while True:
            try:
                connection, _ = listening.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)


def ask(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as client:
        client.sendall(b"please\n")
        found = b""
        while block := client.recv(1 << 16):
            found += block
        return found


@pytest.fixture
def bucket() -> CountingBucket:
    return CountingBucket()


@pytest.fixture
def link(bucket: CountingBucket) -> Iterator[ShapedLink]:
    with shaped_link() as made:
        made.bucket = bucket
        yield made


def test_an_answer_passes_unchanged_through_the_bucket_and_is_counted(
    link: ShapedLink, bucket: CountingBucket
) -> None:
    with server() as port:
        assert ask(link.forward(port)) == _ANSWER
    assert link.received_bytes == bucket.taken_bytes == len(_ANSWER)
    assert link.sent_bytes == len(b"please\n")


def test_all_ports_share_one_bucket(link: ShapedLink, bucket: CountingBucket) -> None:
    with server() as first, server() as second:
        ask(link.forward(first))
        ask(link.forward(second))
    assert bucket.taken_bytes == 2 * len(_ANSWER)


def test_a_reset_counts_from_zero(link: ShapedLink) -> None:
    with server() as port:
        through = link.forward(port)
        ask(through)
        link.reset(None)
        assert (link.received_bytes, link.sent_bytes) == (0, 0)
        ask(through)
    assert link.received_bytes == len(_ANSWER)


def test_a_server_that_refuses_ends_the_client_s_connection(link: ShapedLink) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with socket.create_connection(("127.0.0.1", link.forward(port)), timeout=60) as client:
        assert client.recv(1) == b""


def test_the_calibration_receives_all_that_it_asked_for() -> None:
    with shaped_link() as link:
        found = calibrate(link, 30e6, 0.1)
        assert link.received_bytes == 3_000_000
    # A link may be slower than it was set to, on a busy machine; it is never faster, but for one burst.
    assert 0 < found.reached_bytes_per_s <= 30e6 * 1.2
