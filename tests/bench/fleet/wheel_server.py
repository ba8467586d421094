"""Serves the wheels of a calibration from the namespace of the server: a folder, or a real registry."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from tests.bench.fleet.namespaces import SERVER, Namespaces, inside

_PORT = 8000
_REPOSITORY = "wheels"
_TRIES = 100
# Runs in the namespace: the registry is not reached from anywhere else.
_PUSH = """\
import sys, urllib.request
base, paths = sys.argv[1], sys.argv[2:]
for path in paths:
    digest = path.split("/")[-2]
    begin = urllib.request.Request(f"{base}/blobs/uploads/", method="POST", data=b"")
    with urllib.request.urlopen(begin) as answer:
        place = answer.headers["Location"]
    with open(path, "rb") as file:
        body = file.read()
    put = urllib.request.Request(f"{place}&digest=sha256:{digest}", method="PUT", data=body)
    put.add_header("Content-Type", "application/octet-stream")
    urllib.request.urlopen(put).close()
"""


@contextmanager
def index_server(found: Namespaces, tree: Path) -> Iterator[list[str]]:
    """Serve the pages and files of an index; yield the options of the daemon for it."""
    command = [sys.executable, "-m", "http.server", "--bind", SERVER, "--protocol", "HTTP/1.1", str(_PORT)]
    with _running(found, command, tree):
        _wait_for(found, f"http://{SERVER}:{_PORT}/")
        yield ["--index-url", f"http://{SERVER}:{_PORT}/simple/"]


@contextmanager
def registry_server(found: Namespaces, tree: Path) -> Iterator[list[str]]:
    """Serve the wheels from docker-registry; yield the options of the daemon for it.

    Raises:
        click.ClickException: docker-registry is not installed.
    """
    program = shutil.which("docker-registry")
    if program is None:
        raise click.ClickException("docker-registry is not on the PATH; the toolbox of ./bazelw has it")
    directory = tree.parent / "registry"
    directory.mkdir()
    config = {
        "version": "0.1",
        "log": {"level": "error"},
        "storage": {"filesystem": {"rootdirectory": str(directory / "data")}},
        "http": {"addr": f"{SERVER}:{_PORT}", "secret": "of a calibration"},
    }
    path = directory / "config.yml"
    path.write_text(json.dumps(config))  # which is YAML too
    with _running(found, [program, "serve", str(path)], directory):
        base = f"http://{SERVER}:{_PORT}/v2/"
        _wait_for(found, base)
        files = [str(file) for file in sorted((tree / "files").glob("*/*.whl"))]
        push = [sys.executable, "-c", _PUSH, f"{base}{_REPOSITORY}", *files]
        subprocess.run(inside(found.server, push), check=True, timeout=600)
        yield ["--source", f"oci+http://{SERVER}:{_PORT}/{_REPOSITORY}"]


@contextmanager
def _running(found: Namespaces, command: Sequence[str], directory: Path) -> Iterator[None]:
    with subprocess.Popen(
        inside(found.server, command), cwd=directory, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        try:
            yield
        finally:
            server.terminate()


def _wait_for(found: Namespaces, url: str) -> None:
    ask = f"import urllib.request; urllib.request.urlopen({url!r}, timeout=5).read()"
    for _ in range(_TRIES):
        done = subprocess.run(
            inside(found.nodes[0], [sys.executable, "-c", ask]), capture_output=True, check=False, timeout=60
        )
        if done.returncode == 0:
            return
        time.sleep(0.1)
    raise click.ClickException(f"{url}: the server does not answer: {done.stderr.decode()}")
