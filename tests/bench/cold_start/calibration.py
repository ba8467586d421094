"""Measures that a link holds the rate that it was set to: several clients receive bytes that cost no work."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from tests.bench.cold_start.shaped_link import ShapedLink

_HOST = "127.0.0.1"
_BLOCK = bytes(1 << 20)
_CONNECTIONS = 3


@dataclass(frozen=True, slots=True)
class Calibration:
    """A measurement.

    Attributes:
        asked_bytes_per_s: The rate that was set.
        reached_bytes_per_s: The rate at which the clients received.
    """

    asked_bytes_per_s: float
    reached_bytes_per_s: float


def calibrate(link: ShapedLink, bytes_per_s: float, seconds: float) -> Calibration:
    """Receive for about some seconds over connections at the same time, as podman pulls layers.

    Args:
        link: The link; its rate and its counters are changed.
        bytes_per_s: The rate to set.
        seconds: How long it takes if the rate is reached.

    Returns:
        The rate that was reached.
    """
    size_bytes = int(bytes_per_s * seconds / _CONNECTIONS)
    with _source(size_bytes) as source:
        port = link.forward(source)
        link.reset(bytes_per_s)
        clients = [threading.Thread(target=_drain, args=(port,)) for _ in range(_CONNECTIONS)]
        began_s = time.monotonic()
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        ended_s = time.monotonic()
    return Calibration(bytes_per_s, link.received_bytes / (ended_s - began_s))


def _drain(port: int) -> None:
    into = memoryview(bytearray(1 << 20))
    with socket.create_connection((_HOST, port)) as client:
        while client.recv_into(into):
            pass


@contextmanager
def _source(size_bytes: int) -> Iterator[int]:
    """Serve connections, each of them some bytes; yield the port."""

    def serve(connection: socket.socket) -> None:
        left = size_bytes
        with connection, suppress(OSError):
            while left:
                left -= connection.send(_BLOCK[: min(left, len(_BLOCK))])

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = server.accept()
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

    with socket.create_server((_HOST, 0)) as server:
        threading.Thread(target=accept, daemon=True).start()
        try:
            yield server.getsockname()[1]
        finally:
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
