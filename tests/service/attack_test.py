"""Clients that mean no good: the probes answer, and the daemon goes on, with few descriptors."""

import os
import resource
import socket
import threading
from pathlib import Path

from tests.service.node import Daemon, Node, cells

pytest_plugins = ["tests.service.fixture"]

_MOST_DESCRIPTORS = 256


def _connect(daemon: Daemon, message: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", daemon.port or 0), timeout=60)
    connection.sendall(message)
    return connection


def test_slow_connections_keep_no_probe_out_and_no_install(node: Node) -> None:
    alpha = node.wheel("alpha")
    node.define({0: cells(alpha)})
    with node.daemon() as daemon:
        daemon.wait_ready()
        pid = daemon.process.pid
        resource.prlimit(pid, resource.RLIMIT_NOFILE, (_MOST_DESCRIPTORS, _MOST_DESCRIPTORS))
        ended = threading.Event()
        slow: list[socket.socket] = []

        def attack() -> None:
            """Keep 600 connections, most of which say a byte now and then; what is dropped comes again."""
            while not ended.is_set():
                for number, connection in enumerate(slow):
                    try:
                        connection.sendall(b"a")
                    except OSError:
                        connection.close()
                        slow[number] = _connect(daemon, b"GET /readyz HTTP/1.1\r\nx: ")
                ended.wait(0.05)

        slow.extend(_connect(daemon, b"GET /readyz HTTP/1.1\r\nx: ") for _ in range(600))
        attacker = threading.Thread(target=attack)
        attacker.start()
        try:
            node.define({1: cells(alpha, node.wheel("beta"))})
            daemon.wait_until(lambda: daemon.get("/healthz")[0] == 200 and daemon.ready())
            daemon.wait_until(lambda: node.prefix.latest.readlink() == Path("g00001"))
            daemon.wait_ready()
            assert len(os.listdir(f"/proc/{pid}/fd")) < _MOST_DESCRIPTORS  # noqa: PTH208
        finally:
            ended.set()
            attacker.join()
            for connection in slow:
                connection.close()
        assert daemon.metric('monobase_failures_total{kind="internal"}') == 0
        assert not daemon.said("Too many open files")
        assert daemon.end() < 5
