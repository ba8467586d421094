"""An air gap: a network namespace without a route, in which loopback is all there is."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.index.interpreter_archive import archive_entry, write_interpreter
from tests.index.server import LocalIndex
from tests.node.node import make_node
from tests.source.mirror import add_interpreter, running_interpreter, write_tree
from tests.synthetic.catalog import PYTHON_FULL, environment_cell, toolkit_cell

pytest_plugins = ["tests.index.fixture"]

# Sets loopback up (netdevice(7): SIOCSIFFLAGS, IFF_UP), and becomes the command.
_SET_UP = """
import fcntl, os, socket, struct, sys
with socket.socket() as any_socket:
    fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH22x", b"lo", 1))
os.execvp(sys.argv[1], sys.argv[1:])
"""
_ISOLATED = ("unshare", "--net", sys.executable, "-c", _SET_UP)
_ADDRESS = re.compile(r'inet6?_(?:addr|pton)\((?:AF_INET6?, )?"([^"]+)"')


@pytest.fixture
def isolated() -> tuple[str, ...]:
    """Return a program that runs a command in a network namespace of its own."""
    try:
        done = subprocess.run([*_ISOLATED, "true"], capture_output=True, text=True, check=False, timeout=60)
    except OSError as error:
        pytest.skip(f"unshare is needed: {error}")
    if done.returncode != 0:
        pytest.skip(f"a network namespace is needed: {done.stderr.strip()}")
    return _ISOLATED


def test_a_generation_is_installed_with_its_interpreter_and_nothing_leaves_the_machine(
    local_index: LocalIndex, tmp_path: Path, isolated: tuple[str, ...]
) -> None:
    archive = tmp_path / "archive"
    write_interpreter(archive, small=True)
    config = running_interpreter(archive)
    url = f"https://github.com/astral-sh/python-build-standalone/releases/download/{config.path}"
    key, entry = archive_entry(PYTHON_FULL, url, config.sha256)
    (tmp_path / "downloads.json").write_text(json.dumps({key: entry}))
    node = make_node(
        local_index, tmp_path, python_downloads=True,
        variables={"UV_PYTHON_DOWNLOADS_JSON_URL": str(tmp_path / "downloads.json")},
    )  # fmt: skip
    alpha = node.wheel()
    cublas = node.wheel("nvidia-cublas-cu12", files={"nvidia/cublas/lib/libcublas.so.12": b"\x7fELF"})
    node.define(environment_cell([alpha]), toolkit_cell([cublas], "12.4.1"))
    tree = write_tree(tmp_path / "mirror", [alpha, cublas])
    add_interpreter(tree, config, archive.read_bytes())
    local_index.log.clear()
    trace = tmp_path / "trace"
    strace = shutil.which("strace")
    traced = () if strace is None else (strace, "-f", "-qq", "-e", "trace=connect,sendto", "-o", str(trace))
    node.install("--source", f"file://{tree}", before=[*isolated, *traced])
    assert node.is_sealed()
    assert (node.environment() / "bin/python").resolve().is_relative_to(node.prefix.uv_python)
    assert local_index.log.requests() == ()
    if strace is not None:
        assert set(_ADDRESS.findall(trace.read_text())) == {"127.0.0.1"}
    # The other way round: without sources, the same install reaches nobody.
    other = node.with_prefix(tmp_path / "other")
    other.install(code=4, before=isolated, variables={"UV_HTTP_RETRIES": "0"})
