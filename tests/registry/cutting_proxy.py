"""A proxy between a client and a registry that breaks connections where a test asks for it."""

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

_BLOCK_BYTES = 1 << 16


@dataclass(slots=True)
class CuttingProxy:
    """A proxy that runs.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        target: Port of what is behind it.
        cuts: Each breaks one connection, after so many bytes from the client.
        stall_after: Connections hang after so many bytes from the client; None for never.
        received_bytes: What all clients have sent.
        done: How many cuts were made.
        stalled: Whether a connection hangs.
    """

    port: int
    target: int
    cuts: list[int] = field(default_factory=list)
    stall_after: int | None = None
    received_bytes: int = 0
    done: int = 0
    stalled: threading.Event = field(default_factory=threading.Event)
    guard: threading.Lock = field(default_factory=threading.Lock)

    @property
    def host(self) -> str:
        """Prefix of repositories of the registry behind the proxy."""
        return f"localhost:{self.port}"


@contextmanager
def cutting_proxy(target: int) -> Iterator[CuttingProxy]:
    """Run a proxy.

    Args:
        target: Port on 127.0.0.1 of what is behind it.

    Yields:
        The proxy, which lets all pass until it is told otherwise.
    """
    with socket.create_server(("127.0.0.1", 0)) as server:
        proxy = CuttingProxy(server.getsockname()[1], target)
        threading.Thread(target=_accept, args=(server, proxy), daemon=True).start()
        try:
            yield proxy
        finally:
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)


def _accept(server: socket.socket, proxy: CuttingProxy) -> None:
    while True:
        try:
            client, _ = server.accept()
        except OSError:
            return
        behind = socket.create_connection(("127.0.0.1", proxy.target))
        threading.Thread(target=_forward, args=(client, behind, proxy), daemon=True).start()
        threading.Thread(target=_back, args=(behind, client), daemon=True).start()


def _forward(client: socket.socket, behind: socket.socket, proxy: CuttingProxy) -> None:
    passed = 0
    with client, behind, suppress(OSError):
        try:
            while block := client.recv(_BLOCK_BYTES):
                with proxy.guard:
                    proxy.received_bytes += len(block)
                    stall = proxy.stall_after is not None and passed + len(block) > proxy.stall_after
                    cut = proxy.cuts.pop(0) if proxy.cuts and passed + len(block) > proxy.cuts[0] else None
                if cut is not None:
                    behind.sendall(block[: cut - passed])
                    proxy.done += 1
                    _reset(client)
                    return
                if stall:
                    proxy.stalled.set()
                    # The client's bytes stay where they are until it is gone.
                    while client.recv(1, socket.MSG_PEEK):
                        threading.Event().wait(0.05)
                    return
                behind.sendall(block)
                passed += len(block)
        finally:
            # Closing alone would not end what the other thread waits for.
            behind.shutdown(socket.SHUT_RDWR)


def _back(behind: socket.socket, client: socket.socket) -> None:
    with suppress(OSError):
        while block := behind.recv(_BLOCK_BYTES):
            client.sendall(block)
        client.shutdown(socket.SHUT_WR)


def _reset(client: socket.socket) -> None:
    # Without lingering, closing sends RST: what a network that breaks looks like.
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
