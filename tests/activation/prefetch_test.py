"""From an install that records what an import reads to a model that reads it ahead."""

import ctypes
from pathlib import Path

import pytest

from daemon.host.free_memory import free_memory_bytes
from daemon.prefix.prefetch_list import read_prefetch_list
from runtime.prefetch.read_ahead import read_list
from runtime.shells import EXEC, SYSTEM_PATH, Outcome, read_only, run
from tests.index.server import LocalIndex
from tests.node.node import PLAIN, SITE, Node, make_node
from tests.node.small_generation import define_small_generation
from tests.synthetic.catalog import PYTHON

pytest_plugins = ["tests.index.fixture"]

TORCH = f"{PLAIN}-torch2.5.1-cu124"


@pytest.fixture
def node(local_index: LocalIndex, tmp_path: Path) -> Node:
    if ctypes.CDLL(None).syscall(444, None, 0, 1) <= 0:
        pytest.skip("the kernel has no Landlock")
    if free_memory_bytes() < 1_500_000_000:
        pytest.skip("too little memory is free")
    node = make_node(local_index, tmp_path)
    define_small_generation(node)
    return node


def test_what_an_install_has_recorded_is_read_ahead_from_a_read_only_mount(node: Node) -> None:
    node.install("--prefetch")

    found = read_prefetch_list(node.prefix, "g00000", TORCH)
    assert found is not None
    paths = [file.path for file in found.files]
    here = f"monobase/g00000/{TORCH}/{SITE}/torch/__pycache__/__init__"
    assert any(path.startswith(here) for path in paths)
    assert not any("/alpha/" in path for path in paths)
    assert all((node.root / path).is_file() for path in paths)
    assert read_prefetch_list(node.prefix, "g00000", PLAIN) is None
    # The runtime reads the same from it.
    read = read_list(str(node.root / "monobase" / ".prefetch" / "g00000" / TORCH))
    assert read == [(file.path, list(file.ranges)) for file in found.files]

    asked = {
        "PATH": SYSTEM_PATH, "MONOBASE_PREFIX": str(node.root), "PYTHON_VERSION": PYTHON,
        "TORCH_VERSION": "2.5.1", "CUDA_VERSION": "12.4", "MONOBASE_PREFETCH": "1", "MONOBASE_LEASE": "1",
    }  # fmt: skip
    mount = read_only(node.root)
    outcome = run([*mount, str(EXEC), "python", "-c", "import torch; print(torch.v)"], asked)
    assert outcome == Outcome(0, "2.5.1\n", "")


def test_a_recorded_prefix_is_whole_and_a_second_install_records_nothing(node: Node) -> None:
    node.install("--prefetch")
    path = node.root / "monobase" / ".prefetch" / "g00000" / TORCH
    inode = path.stat().st_ino

    said = node.install("--prefetch")

    assert path.stat().st_ino == inode
    assert "recorded" not in said
    assert node.differences() == []
