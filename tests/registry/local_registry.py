"""A real registry (docker-registry, that is, distribution) on a free port of this machine."""

import http.client
import json
import random
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

USER = "ada"
PASSWORD = "right horse"  # noqa: S105 (of registries that live as long as a test)
# Output of `htpasswd -B` for them, with the smallest number of rounds, for speed.
_HTPASSWD = f"{USER}:$2b$04$w.mtmj7.UUdEFdVgMMXzh.bpcBpccnRLPaLqlVcKAhIcc0J/K4EVC\n"
_MANIFESTS = "application/vnd.oci.image.manifest.v1+json"
_PATIENCE_S = 120.0


@dataclass(frozen=True, slots=True)
class LocalRegistry:
    """A registry that runs.

    Attributes:
        port: Where it listens, on 127.0.0.1.
        directory: Where it keeps what it has, and its log.
        authorization: Header of the test's own questions.
        authority: The certificate that makes it trusted; None without TLS.
    """

    port: int
    directory: Path
    authorization: Mapping[str, str]
    authority: Path | None

    @property
    def host(self) -> str:
        """Prefix of its repositories."""
        return f"localhost:{self.port}"

    def ask(self, path: str, method: str = "GET") -> tuple[int, Mapping[str, str], bytes]:
        """Ask it something.

        Args:
            path: What comes after `/v2/`.
            method: How.

        Returns:
            Status, headers and body.
        """
        connection: http.client.HTTPConnection = http.client.HTTPConnection("localhost", self.port)
        if self.authority is not None:
            context = ssl.create_default_context(cafile=self.authority)
            connection = http.client.HTTPSConnection("localhost", self.port, context=context)
        try:
            connection.request(method, f"/v2/{path}", headers={"Accept": _MANIFESTS, **self.authorization})
            answer = connection.getresponse()
            return answer.status, dict(answer.getheaders()), answer.read()
        finally:
            connection.close()

    def tags(self, name: str) -> list[str]:
        """List the tags of a repository, sorted; none of one that is not there."""
        status, _, body = self.ask(f"{name}/tags/list")
        return sorted(json.loads(body).get("tags") or ()) if status == 200 else []

    def manifest(self, name: str, reference: str) -> bytes | None:
        """Return the bytes of a manifest, or None."""
        status, _, body = self.ask(f"{name}/manifests/{reference}")
        return body if status == 200 else None

    def has_blob(self, name: str, digest: str) -> bool:
        """Return whether a repository has a blob."""
        return self.ask(f"{name}/blobs/{digest}", "HEAD")[0] == 200

    def log(self) -> str:
        """Return its log, requests included."""
        return (self.directory / "log").read_text(errors="replace")


@contextmanager
def local_registry(
    directory: Path,
    *,
    htpasswd: bool = False,
    certificate: tuple[Path, Path, Path] | None = None,
    token: Mapping[str, object] | None = None,
    authorization: Mapping[str, str] | None = None,
) -> Iterator[LocalRegistry]:
    """Run a registry; skip the test where docker-registry is not installed.

    Args:
        directory: For all its files; it is made. If it has images of an earlier run, they are served.
        htpasswd: Whether it asks for `USER` and `PASSWORD` (Basic).
        certificate: Its certificate, the key, and the authority that signed it, for TLS.
        token: Its `auth.token` configuration.
        authorization: Header of the test's own questions.

    Yields:
        The registry; it ends with the context.
    """
    program = shutil.which("docker-registry")
    if program is None:
        pytest.skip("docker-registry is not on the PATH; the toolbox of ./bazelw has it")
    directory.mkdir(parents=True, exist_ok=True)
    config: dict[str, Any] = {
        "version": "0.1",
        "log": {"level": "info"},
        "storage": {"filesystem": {"rootdirectory": str(directory / "data")}, "delete": {"enabled": True}},
        "http": {"secret": "of a test"},
    }
    if htpasswd:
        (directory / "htpasswd").write_text(_HTPASSWD)
        config["auth"] = {"htpasswd": {"realm": "a test", "path": str(directory / "htpasswd")}}
    if token is not None:
        config["auth"] = {"token": dict(token)}
    if certificate is not None:
        config["http"]["tls"] = {"certificate": str(certificate[0]), "key": str(certificate[1])}
    port, process = _start(program, directory, config)
    with process:
        try:
            authority = None if certificate is None else certificate[2]
            yield LocalRegistry(port, directory, authorization or {}, authority)
        finally:
            process.kill()


def free_port() -> int:
    """Return a free port below the kernel's ephemeral ports, which other connections could take meanwhile."""
    while True:
        port = random.randrange(10_000, 30_000)  # noqa: S311 (tests that run at once should not try the same)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


def _start(program: str, directory: Path, config: Mapping[str, Any]) -> tuple[int, "subprocess.Popen[bytes]"]:
    """Start a registry that listens; at another port, if somebody took the first one meanwhile."""
    path, said = directory / "config.yml", directory / "log"
    while True:
        port = free_port()
        path.write_text(
            json.dumps({**config, "http": {**config["http"], "addr": f"127.0.0.1:{port}"}})
        )  # also YAML
        with said.open("wb") as log:
            process = subprocess.Popen([program, "serve", path], stdout=log, stderr=log)
        try:
            if _listens(process, said):
                return port, process
            process.wait()
            if b"address already in use" not in said.read_bytes():
                raise AssertionError(f"docker-registry does not start: {said.read_text()}")
        except BaseException:
            process.kill()
            process.wait()
            raise


def _listens(process: "subprocess.Popen[bytes]", said: Path) -> bool:
    """Wait until a registry says that it listens: who answers at its port may be another one."""
    end = time.monotonic() + _PATIENCE_S
    while b"listening on" not in said.read_bytes():
        if process.poll() is not None:
            return False
        if time.monotonic() > end:
            raise AssertionError(f"docker-registry does not listen: {said.read_text()}")
        time.sleep(0.02)
    return True
