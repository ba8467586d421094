"""TLS in front of a server of a test: what an index has everywhere but in tests."""

import shutil
import socket
import ssl
import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.index.repository import DEFAULT_ROOT
from tests.index.server import HOST

_CHUNK_BYTES = 65_536


class TlsFront:
    """A TLS server with a certificate of its own, which passes all on to another server; a context manager.

    Args:
        port: Port of that server on loopback, such as an index.
        folder: Where the certificate and its key are made; `openssl` makes them, and the test skips without.
    """

    def __init__(self, port: int, folder: Path) -> None:
        self.certificate = folder / "front.pem"
        key = folder / "front.key"
        _make_certificate(self.certificate, key)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(self.certificate, key)
        self._behind = port
        self._listener = socket.create_server((HOST, 0))
        self._port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    @property
    def port(self) -> int:
        """Port that it listens on."""
        return self._port

    @property
    def url(self) -> str:
        """URL of the default index, if an index is behind it."""
        return f"https://{HOST}:{self._port}/{DEFAULT_ROOT.path}/"

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            with (
                self._context.wrap_socket(connection, server_side=True) as client,
                socket.create_connection((HOST, self._behind)) as server,
            ):
                answers = threading.Thread(target=_pass_on, args=(server, client), daemon=True)
                answers.start()
                _pass_on(client, server)
                answers.join()
        except OSError:
            return  # a client that goes away, or does not trust the certificate


def _pass_on(source: socket.socket, target: socket.socket) -> None:
    try:
        while chunk := source.recv(_CHUNK_BYTES):
            target.sendall(chunk)
        target.shutdown(socket.SHUT_WR)
    except OSError:
        return


def _make_certificate(certificate: Path, key: Path) -> None:
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is not installed")
    subprocess.run(
        [
            program, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-days", "2", "-subj", "/CN=monobase test index", "-addext", f"subjectAltName=IP:{HOST}",
            "-addext", "basicConstraints=critical,CA:FALSE", "-out", certificate, "-keyout", key,
        ],
        check=True, capture_output=True,
    )  # fmt: skip
