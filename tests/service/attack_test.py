"""Clients that mean no good: the probes answer, and the daemon goes on, with few descriptors."""

import os
import resource
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.node.node import Node
from tests.node.running_daemon import Daemon
from tests.synthetic.catalog import cells

pytest_plugins = ["tests.service.fixture"]

_MOST_DESCRIPTORS = 256
_ATTACKERS = 12
_CONNECTIONS_EACH = 45
_PROBE_S = 10.0  # what a kubelet might wait; the answer takes milliseconds


class _Attacker(threading.Thread):
    """Keeps some connections busy with a byte now and then; what is dropped comes again."""

    def __init__(self, port: int, ended: threading.Event) -> None:
        super().__init__()
        self._address = ("127.0.0.1", port)
        self._ended = ended
        self._held: list[socket.socket | None] = [None] * _CONNECTIONS_EACH
        self.opened = 0

    def run(self) -> None:
        while not self._ended.wait(0.1):
            for number, connection in enumerate(self._held):
                self._held[number] = self._drip(connection)
        for connection in self._held:
            if connection is not None:
                connection.close()

    def _drip(self, connection: socket.socket | None) -> socket.socket | None:
        if connection is None:
            with suppress(OSError):
                connection = socket.create_connection(self._address, timeout=1)
                connection.sendall(b"GET /readyz HTTP/1.1\r\nx: ")
                self.opened += 1
            return connection
        try:
            connection.sendall(b"a")
        except OSError:
            connection.close()
            return None
        return connection


@contextmanager
def _attack(daemon: Daemon) -> Iterator[None]:
    ended = threading.Event()
    attackers = [_Attacker(daemon.port or 0, ended) for _ in range(_ATTACKERS)]
    for attacker in attackers:
        attacker.start()
    try:
        daemon.wait_until(lambda: sum(attacker.opened for attacker in attackers) >= _MOST_DESCRIPTORS - 30)
        yield
    finally:
        ended.set()
        for attacker in attackers:
            attacker.join()


def _probe(daemon: Daemon, path: str) -> int:
    """Send a probe like a kubelet, with a time limit."""
    with socket.create_connection(("127.0.0.1", daemon.port or 0), timeout=_PROBE_S) as connection:
        connection.sendall(f"GET {path} HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n".encode())
        return int(connection.recv(1000).split()[1])


def test_slow_connections_keep_no_probe_out_and_no_install(node: Node) -> None:
    alpha = node.wheel("alpha")
    node.define_all({0: cells(alpha)})
    with node.daemon() as daemon:
        daemon.wait_ready()
        pid = daemon.process.pid
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (_MOST_DESCRIPTORS, _MOST_DESCRIPTORS))
        with _attack(daemon):
            node.define_all({1: cells(alpha, node.wheel("beta"))})
            for _ in range(30):
                assert _probe(daemon, "/healthz") == 200
                assert _probe(daemon, "/readyz") in {200, 503}
                time.sleep(0.1)  # the attack goes on meanwhile
            daemon.wait_until(lambda: node.prefix.latest.readlink() == Path("g00001"))
            daemon.wait_until(lambda: _probe(daemon, "/readyz") == 200)
            assert len(os.listdir(f"/proc/{pid}/fd")) < _MOST_DESCRIPTORS // 2  # noqa: PTH208
        assert daemon.metric('monobase_failures_total{kind="internal"}') == 0
        assert not daemon.said("Too many open files")
        daemon.end()
