"""The network between a node and its servers: proxies that share one token bucket and count bytes.

A proxy forwards one port. What servers send is limited, as a node's network card limits what it receives;
requests are not. The kernel moves the bytes (`splice`): Python sees only how many they are.
"""

import fcntl
import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from tests.bench.cold_start.token_bucket import TokenBucket

_HOST = "127.0.0.1"
_PIPE_BYTES = 1 << 20
# A chunk takes 2 ms at 1 Gbit/s, and is large enough that Python costs little at 10.
_CHUNK_BYTES = 1 << 18


@dataclass(slots=True)
class ShapedLink:
    """A link that runs.

    Attributes:
        bucket: What limits it.
        received_bytes: Bytes that the node has received since the last `reset`.
        sent_bytes: Bytes that it has sent.
    """

    bucket: TokenBucket = field(default_factory=TokenBucket)
    received_bytes: int = 0
    sent_bytes: int = 0
    _guard: threading.Lock = field(default_factory=threading.Lock)
    _servers: list[socket.socket] = field(default_factory=list)

    def forward(self, port: int) -> int:
        """Forward a port of this machine.

        Args:
            port: Where the server listens, on 127.0.0.1.

        Returns:
            The port at which the node reaches it.
        """
        server = socket.create_server((_HOST, 0), backlog=256)
        self._servers.append(server)
        threading.Thread(target=self._accept, args=(server, port), daemon=True).start()
        found: int = server.getsockname()[1]
        return found

    def reset(self, bytes_per_s: float | None) -> None:
        """Set the rate, and count from zero."""
        self.bucket.limit(bytes_per_s)
        with self._guard:
            self.received_bytes = self.sent_bytes = 0

    def close(self) -> None:
        """Accept no connection any more."""
        for server in self._servers:
            with suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            server.close()

    def _accept(self, server: socket.socket, port: int) -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            try:
                behind = socket.create_connection((_HOST, port))
            except OSError:
                client.close()
                continue
            for connection in (client, behind):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(client, behind), daemon=True).start()

    def _serve(self, client: socket.socket, behind: socket.socket) -> None:
        requests = threading.Thread(target=self._send, args=(client, behind), daemon=True)
        requests.start()
        with suppress(OSError):
            self._receive(behind, client)
        for connection in (client, behind):
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        requests.join()
        client.close()
        behind.close()

    def _receive(self, behind: socket.socket, client: socket.socket) -> None:
        reading, writing = os.pipe()
        try:
            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
            while count := os.splice(behind.fileno(), writing, _CHUNK_BYTES):
                self.bucket.take(count)
                with self._guard:
                    self.received_bytes += count
                while count:
                    count -= os.splice(reading, client.fileno(), count)
            client.shutdown(socket.SHUT_WR)
        finally:
            os.close(reading)
            os.close(writing)

    def _send(self, client: socket.socket, behind: socket.socket) -> None:
        with suppress(OSError):
            while block := client.recv(_CHUNK_BYTES):
                with self._guard:
                    self.sent_bytes += len(block)
                behind.sendall(block)
            behind.shutdown(socket.SHUT_WR)


@contextmanager
def shaped_link() -> Iterator[ShapedLink]:
    """Make a link without a limit, until the end of the block."""
    link = ShapedLink()
    try:
        yield link
    finally:
        link.close()
