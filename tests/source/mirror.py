"""Mirrors of a test: the tree of a node's wheels, a web server for it, and a real registry with its blobs."""

import base64
import hashlib
import http.client
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote

from gens.mirror_shape import (
    INTERPRETERS_INDEX,
    MANIFEST_TYPE,
    InterpreterConfig,
    file_path,
    format_artifact,
    format_interpreter_config,
    format_interpreters_index,
    interpreter_artifact,
    interpreter_path,
)
from tests.index.interpreter_archive import RUNNING
from tests.index.wheel import Wheel
from tests.registry.local_registry import PASSWORD, USER, LocalRegistry
from tests.synthetic.catalog import PYTHON_FULL

BASIC = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


def write_tree(directory: Path, wheels: Iterable[Wheel]) -> Path:
    """Write the tree of a mirror with some wheels, beside those that it has."""
    for wheel in wheels:
        path = directory / file_path(wheel.sha256, wheel.filename)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(wheel.path.read_bytes())
    return directory


def running_interpreter(archive: Path) -> InterpreterConfig:
    """Return the running interpreter as a mirror lists it, with the name that uv's own archives have.

    Args:
        archive: The archive that `write_interpreter` has written.
    """
    machine = RUNNING.machine
    name = f"cpython-{PYTHON_FULL}+20261101-{machine}-unknown-linux-gnu-install_only_stripped.tar.gz"
    content = archive.read_bytes()
    return InterpreterConfig(
        f"cpython-{PYTHON_FULL}-linux-{machine}-gnu", f"20261101/{name}",
        hashlib.sha256(content).hexdigest(), len(content),
    )  # fmt: skip


def add_interpreter(directory: Path, config: InterpreterConfig, archive: bytes) -> None:
    """Add an archive of an interpreter to a tree, as the only one that it lists."""
    target = directory / interpreter_path(config.path)
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(archive)
    (directory / INTERPRETERS_INDEX).write_bytes(format_interpreters_index([config]))


@dataclass(slots=True)
class WebTree:
    """A tree on a web server, with faults.

    Attributes:
        root: The tree.
        port: Where it listens, on 127.0.0.1.
        asked: Method, path and range of each request for a file.
        headers: The header fields of each request.
        sent_bytes: Bytes of the bodies that were sent.
        cuts: Each breaks one answer off after so many bytes of it.
        wrong: Paths of which a byte is sent wrong.
        wrong_byte: Which one it is: the last one, unless a test sets it.
        status: Answers all requests by this status instead; 0 for none.
        moved_to: Base of the URL that requests for files are redirected to; empty for none.
        authorization: The value of `Authorization` that it requires; empty for none.
        bytes_per_s: Sends so many bytes a second; 0 for as fast as it can.
        ranges: Whether it answers ranges.
    """

    root: Path
    port: int = 0
    asked: list[tuple[str, str]] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    sent_bytes: int = 0
    cuts: list[int] = field(default_factory=list)
    wrong: set[str] = field(default_factory=set)
    wrong_byte: int = -1
    status: int = 0
    moved_to: str = ""
    authorization: str = ""
    bytes_per_s: int = 0
    ranges: bool = True
    guard: threading.Lock = field(default_factory=threading.Lock)
    stopping: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        """URL of the tree."""
        return f"http://127.0.0.1:{self.port}/"


class _Handler(BaseHTTPRequestHandler):
    tree: WebTree
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (as in http.server)
        pass

    def do_GET(self) -> None:
        tree = self.tree
        with tree.guard:
            tree.asked.append((self.path, self.headers.get("Range", "")))
            tree.headers.append(dict(self.headers))
            cut = tree.cuts.pop(0) if tree.cuts else None
        self.path = unquote(self.path)
        path = tree.root / self.path.lstrip("/")
        if tree.authorization and self.headers.get("Authorization", "") != tree.authorization:
            self._head(401, 0, {"WWW-Authenticate": "Basic"})
        elif tree.status:
            self._head(tree.status, 0, {})
        elif tree.moved_to:
            self._head(307, 0, {"Location": f"{tree.moved_to}{self.path.lstrip('/')}?signature=a-secret"})
        elif not path.is_file():
            self._head(404, 0, {})
        else:
            self._file(path.read_bytes(), cut)

    def _head(self, status: int, length: int, fields: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def _file(self, content: bytes, cut: int | None) -> None:
        if self.path in self.tree.wrong:
            changed = bytearray(content)
            changed[self.tree.wrong_byte] ^= 0xFF
            content = bytes(changed)
        start = 0
        asked = self.headers.get("Range", "").removeprefix("bytes=").partition("-")[0]
        if asked and self.tree.ranges:
            start = int(asked)
            span = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self._head(206, len(content) - start, {"Content-Range": span})
        else:
            self._head(200, len(content), {})
        body = content[start:] if cut is None else content[start : start + cut]
        step = self.tree.bytes_per_s // 10 or len(body)
        for offset in range(0, len(body), max(1, step)):
            part = body[offset : offset + step]
            self.wfile.write(part)
            with self.tree.guard:
                self.tree.sent_bytes += len(part)
            if self.tree.bytes_per_s and self.tree.stopping.wait(0.1):
                break
        if cut is not None:
            self.close_connection = True


@contextmanager
def web_tree(root: Path) -> Iterator[WebTree]:
    """Serve a tree on loopback while a block runs."""
    tree = WebTree(root)
    handler = type("Handler", (_Handler,), {"tree": tree})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        tree.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield tree
        finally:
            tree.stopping.set()
            server.shutdown()
            thread.join()


def push_blob(registry: LocalRegistry, repository: str, content: bytes) -> str:
    """Put a blob into a repository, and return its digest."""
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    status, headers, _ = registry.ask(f"{repository}/blobs/uploads/", "POST")
    _expect(status, 202)
    location = headers["Location"]
    target = location.partition("/v2/")[2]
    query = "&" if "?" in target else "?"
    _put(registry, f"/v2/{target}{query}digest={digest}", content, "application/octet-stream", 201)
    return digest


def push_interpreter(
    registry: LocalRegistry, repository: str, config: InterpreterConfig, archive: bytes
) -> None:
    """Put the artifact of an interpreter into a repository."""
    push_blob(registry, repository, archive)
    push_blob(registry, repository, format_interpreter_config(config))
    manifest = format_artifact(interpreter_artifact(config))
    _put(registry, f"/v2/{repository}/manifests/{config.tag}", manifest, MANIFEST_TYPE, 201)


def _put(registry: LocalRegistry, path: str, content: bytes, kind: str, expected: int) -> None:
    connection = http.client.HTTPConnection("localhost", registry.port)
    headers = {"Content-Type": kind, **registry.authorization}
    connection.request("PUT", path, content, headers)
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    _expect(answer.status, expected, body)


def _expect(status: int, expected: int, body: bytes = b"") -> None:
    if status != expected:
        raise AssertionError(f"the registry answers {status}, not {expected}: {body!r}")
