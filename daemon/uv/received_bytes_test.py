"""The kernel's count of received bytes, of the sockets of one process."""

import os
import socket
import struct
from collections.abc import Iterator

import pytest

from daemon.uv.received_bytes import ReceivedBytes


@pytest.fixture(params=[(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")], ids=["IPv4", "IPv6"])
def connection(request: pytest.FixtureRequest) -> Iterator[tuple[socket.socket, socket.socket]]:
    """Two ends of a connection."""
    family, host = request.param
    try:
        server = socket.create_server((host, 0), family=family)
    except OSError:
        pytest.skip(f"this machine has no {host}")
    with server, socket.create_connection(server.getsockname()[:2]) as one:
        other, _ = server.accept()
        with other:
            yield one, other


def test_bytes_that_arrived_are_counted_whether_they_were_read_or_not(
    connection: tuple[socket.socket, socket.socket],
) -> None:
    one, other = connection
    received = ReceivedBytes(os.getpid())
    before = received.total()
    assert before is not None
    one.sendall(b"x" * 1000)
    assert len(other.recv(1000, socket.MSG_WAITALL)) == 1000
    assert received.total() == before + 1000
    other.sendall(b"y" * 20)
    assert one.recv(20, socket.MSG_PEEK | socket.MSG_WAITALL) == b"y" * 20
    assert received.total() == before + 1020


def test_a_closed_connection_still_counts(connection: tuple[socket.socket, socket.socket]) -> None:
    one, other = connection
    received = ReceivedBytes(os.getpid())
    one.sendall(b"x" * 1000)
    other.recv(1000, socket.MSG_WAITALL)
    total = received.total()
    assert total is not None
    assert total >= 1000
    other.close()
    assert (received.total() or 0) >= total


def test_sockets_of_other_processes_do_not_count(connection: tuple[socket.socket, socket.socket]) -> None:
    one, other = connection
    one.sendall(b"x" * 1000)
    other.recv(1000, socket.MSG_WAITALL)
    assert ReceivedBytes(os.getppid()).total() != ReceivedBytes(os.getpid()).total()


def test_a_process_that_has_ended_has_no_count() -> None:
    child = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(child, 0)
    assert ReceivedBytes(child).total() is None


class _Kernel:
    """A kernel that sends one answer to a request for its sockets."""

    def __init__(self, answer: bytes) -> None:
        self._answer = answer

    def __call__(self, *_: object) -> "_Kernel":
        return self

    def __enter__(self) -> "_Kernel":
        return self

    def __exit__(self, *_: object) -> None: ...

    def settimeout(self, _: float) -> None: ...

    def send(self, request: bytes) -> int:
        return len(request)

    def recv(self, _: int) -> bytes:
        return self._answer


@pytest.mark.parametrize("answer", [struct.pack("=IHHIIi", 20, 2, 0, 1, 0, -13), b"\x01"])
def test_a_kernel_that_does_not_list_sockets_gives_no_count(
    monkeypatch: pytest.MonkeyPatch, answer: bytes, connection: tuple[socket.socket, socket.socket]
) -> None:
    assert connection
    monkeypatch.setattr("daemon.uv.received_bytes.socket.socket", _Kernel(answer))
    assert ReceivedBytes(os.getpid()).total() is None


def test_a_kernel_that_reports_no_bytes_of_a_socket_counts_none(
    monkeypatch: pytest.MonkeyPatch, connection: tuple[socket.socket, socket.socket]
) -> None:
    inode = os.fstat(connection[0].fileno()).st_ino
    socket_message = struct.pack("=IHHII", 88, 20, 0, 1, 0) + bytes(68) + struct.pack("=I", inode)
    done = struct.pack("=IHHII", 16, 3, 0, 1, 0)
    monkeypatch.setattr("daemon.uv.received_bytes.socket.socket", _Kernel(socket_message + done))
    assert ReceivedBytes(os.getpid()).total() == 0
