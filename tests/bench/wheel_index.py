"""Serves real wheels of a folder as a package index on loopback, in a process of its own.

It sends files by sendfile(2): on a machine with two cores, an index that copies each byte would take part of
the time that is measured. `python -m tests.bench.wheel_index BYTES-PER-S FOLDER LOCK...` prints its port; all
its connections together keep to the rate, 0 for no limit.
"""

import contextlib
import hashlib
import json
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.bench.cold_start.token_bucket import TokenBucket

_HOST = "127.0.0.1"
_PIN = re.compile(r"(\S+)==\S+ --hash=sha256:([0-9a-f]{64})\s+# (\S+) (\d+)")
_CHUNK_BYTES = 1 << 22
_LIMITED_CHUNK_BYTES = 1 << 16  # larger ones would come in bursts


@contextlib.contextmanager
def wheel_index(folder: Path, locks: Iterable[Path], bytes_per_s: int = 0) -> Iterator[str]:
    """Serve the wheels of some locks while the block lasts.

    Args:
        folder: Where the wheels are, by file name.
        locks: The locks.
        bytes_per_s: The rate of all connections together; 0 for no limit.

    Yields:
        URL of the index.
    """
    module = "tests.bench.wheel_index"
    command = [sys.executable, "-m", module, str(bytes_per_s), str(folder), *map(str, locks)]
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with subprocess.Popen(command, env=variables, stdout=subprocess.PIPE, text=True) as server:
        try:
            port = server.stdout.readline().strip() if server.stdout else ""
            yield f"http://{_HOST}:{port}/simple/"
        finally:
            server.terminate()


class _Index(ThreadingHTTPServer):
    """The index: pages by project, wheels and their METADATA by file name."""

    daemon_threads = True

    def __init__(self, folder: Path, locks: Iterable[Path], bytes_per_s: int) -> None:
        super().__init__((_HOST, 0), _Handler)
        self.bucket = TokenBucket(bytes_per_s or None)
        self.chunk_bytes = _LIMITED_CHUNK_BYTES if bytes_per_s else _CHUNK_BYTES
        self.folder = folder
        self.metadata: dict[str, bytes] = {}
        self.pages: dict[str, list[dict[str, object]]] = {}
        for line in (line for lock in locks for line in lock.read_text().splitlines()):
            pin = _PIN.match(line)
            if pin is not None and pin[3] not in self.metadata:
                self._add(pin[1], pin[2], pin[3], int(pin[4]))

    def _add(self, project: str, sha256: str, filename: str, size_bytes: int) -> None:
        with zipfile.ZipFile(self.folder / filename) as wheel:
            name = next(name for name in wheel.namelist() if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
            self.metadata[filename] = wheel.read(name)
        entry = {
            "filename": filename,
            "url": f"/wheels/{filename}",
            "hashes": {"sha256": sha256},
            "size": size_bytes,
            "core-metadata": {"sha256": hashlib.sha256(self.metadata[filename]).hexdigest()},
        }
        self.pages.setdefault(project, []).append(entry)


class _Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Index

    def do_GET(self) -> None:
        folder, _, name = self.path.strip("/").rpartition("/")
        known = self.server
        if folder == "simple" and name in known.pages:
            page = {"meta": {"api-version": "1.1"}, "name": name, "files": known.pages[name]}
            self._answer(json.dumps(page).encode(), "application/vnd.pypi.simple.v1+json")
        elif folder == "wheels" and name.removesuffix(".metadata") in known.metadata:
            if name.endswith(".metadata"):
                self._answer(known.metadata[name.removesuffix(".metadata")], "application/octet-stream")
            else:
                self._send(known.folder / name)
        elif folder.startswith("files/") and name in known.metadata:  # as in the tree of a mirror
            self._send(known.folder / name)
        else:
            self.send_error(404)

    def _answer(self, content: bytes, media_type: str) -> None:
        self._head(len(content), media_type)
        self.wfile.write(content)

    def _send(self, path: Path) -> None:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            self._head(size, "application/octet-stream")
            self.wfile.flush()
            sent, chunk_bytes = 0, self.server.chunk_bytes
            while sent < size:
                self.server.bucket.take(min(chunk_bytes, size - sent))
                sent += os.sendfile(self.connection.fileno(), file.fileno(), sent, chunk_bytes)

    def _head(self, size_bytes: int, media_type: str) -> None:
        self.send_response(200)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(size_bytes))
        self.send_header("Cache-Control", "max-age=3600, immutable, public")
        self.end_headers()

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):  # uv gave up the request
            super().handle()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (as in http.server)
        """Write nothing."""


def _main() -> None:
    index = _Index(Path(sys.argv[2]), map(Path, sys.argv[3:]), int(sys.argv[1]))
    print(index.server_port, flush=True)
    index.serve_forever()


if __name__ == "__main__":
    _main()
