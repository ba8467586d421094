"""A generation of two machines with a stack, on a node of one of them: real uv, real wheels, a local index.

The other machine is one that no node has, so the tests mean the same on every machine.
"""

import json
import platform
import subprocess
from pathlib import Path

import pytest

from tests.index.server import LocalIndex
from tests.index.wheel import Wheel
from tests.node.node import Node, make_node
from tests.synthetic.catalog import PYTHON, Cell, environment_cell, on_platform, stack_cell, toolkit_cell

pytest_plugins = ["tests.index.fixture"]

_OWN = f"{platform.machine()}-manylinux_2_28"
_OTHER = "aarch64-manylinux_2_28" if platform.machine() != "aarch64" else "x86_64-manylinux_2_28"
_LIBRARY = "torch/lib/libtorch_python.so"
_PLAIN, _TORCH = f"python{PYTHON}", f"python{PYTHON}-torch2.14.0-cu130"
_VLLM, _TRAIN = f"python{PYTHON}-vllm0.33.0", f"python{PYTHON}-train"


@pytest.fixture
def node(local_index: LocalIndex, tmp_path: Path) -> Node:
    return make_node(local_index, tmp_path)


def _wheel(node: Node, platform: str, name: str, version: str, **files: bytes) -> Wheel:
    """Put a wheel of a machine on the index: the other machine has one of the same version."""
    tag = f"manylinux_2_17_{platform.partition('-')[0]}"
    content = {f"{name}/__init__.py": platform.encode().join([b"# ", b"\n"])} | files
    return node.wheel(name, version, files=content, platform_tag=tag)


def _cells(node: Node, platform: str, architectures: bytes) -> list[Cell]:
    """Return a plain environment, one with Torch, two stacks on that Torch and a toolkit."""
    alpha, vllm = _wheel(node, platform, "alpha", "1.0"), _wheel(node, platform, "vllm", "0.33.0")
    torch = _wheel(node, platform, "torch", "2.14.0", **{_LIBRARY: b"\x7fELF\0" + architectures + b"\0"})
    cudart = {"nvidia/cu13/lib/libcudart.so.13": platform.encode()}
    cuda = _wheel(node, platform, "nvidia_cuda_runtime", "13.0.96", **cudart)
    bare = environment_cell([torch, alpha], "2.14.0", "cu130")
    cells = [
        environment_cell([alpha]),
        bare,
        stack_cell(environment_cell([torch, alpha, vllm], "2.14.0", "cu130"), "vllm", "0.33.0"),
        stack_cell(bare, "train"),
        toolkit_cell([cuda], "13.0.0"),
    ]
    return [on_platform(cell, platform) for cell in cells]


def _define_both(node: Node) -> None:
    cells = [*_cells(node, _OWN, b"sm_75 sm_90"), *_cells(node, _OTHER, b"sm_90 sm_110")]
    node.define(*cells, generation=3)


def test_a_node_fetches_and_seals_what_is_for_its_own_machine(node: Node) -> None:
    _define_both(node)
    said = node.install()
    assert "sealed g00003" in said
    fetched = node.index.log.wheel_attempts()
    assert sorted(fetched) == sorted(
        f"{name}-py3-none-manylinux_2_17_{platform.machine()}.whl"
        for name in ("alpha-1.0", "nvidia_cuda_runtime-13.0.96", "torch-2.14.0", "vllm-0.33.0")
    )
    assert node.prefix.latest.readlink() == Path("g00003")
    lines = node.prefix.environments_file("g00003").read_text().splitlines()
    assert [line for line in lines if line.startswith("platform")] == [f"platform {_OWN}"]
    assert "driver 13.0 580.65.06" in lines
    assert [line.split()[1:3] for line in lines if line.startswith("stack")] == [
        [_VLLM, "ready"], [_TRAIN, "ready"],
    ]  # fmt: skip
    assert [line for line in lines if line.startswith("architectures")] == [
        f"architectures {name} sm_75 sm_90" for name in (_TORCH, _VLLM, _TRAIN)
    ]
    assert "left out" not in said
    node.verify()
    node.run("ready")


def test_a_stack_is_selected_by_its_name_and_shares_the_files_of_its_torch(node: Node) -> None:
    _define_both(node)
    node.install("--only", "*-vllm*")
    status = json.loads(node.run("status", "--json").stdout)
    ready = {item["name"]: item["kind"] for item in status["generations"][0]["targets"] if item["ready"]}
    assert ready == {_VLLM: "stack"}
    python = node.prefix.target("g00003", _VLLM) / "bin" / "python"
    subprocess.run([python, "-c", "import torch, vllm, alpha"], check=True)
    node.install("--only", _TORCH)
    libraries = [
        next(node.prefix.target("g00003", name).rglob("libtorch_python.so")) for name in (_VLLM, _TORCH)
    ]
    assert libraries[0].samefile(libraries[1])
    node.run("ready", "--only", "*-vllm*", "--only", _TORCH)


def test_generations_of_the_other_machine_alone_are_left_out_and_no_failure(node: Node) -> None:
    foreign = on_platform(environment_cell([node.wheel("alpha")]), _OTHER)
    node.define_all({0: [foreign], 4: [foreign]})
    node.define(on_platform(environment_cell([node.wheel("beta")]), _OWN), generation=1)
    said = node.install()
    assert f"left out, as they have nothing for {platform.machine()}: g00000, g00004" in said
    assert node.prefix.latest.readlink() == Path("g00001")
    assert node.prefix.installed_generations() == ["g00001"]
    assert node.run("ready").stdout == (
        "ready: g00001, latest g00001\nnothing for this machine: g00000 g00004\n"
    )
    refused = node.install("--min-gen-id", "2", code=3)
    assert f"g00004 is for {_OTHER.partition('-')[0]}, not for {platform.machine()}" in refused
    assert "for that machine there are 1" in refused


def test_the_service_serves_its_own_machine_and_says_once_what_it_leaves_out(node: Node) -> None:
    _define_both(node)
    node.define(on_platform(environment_cell([node.wheel("beta")]), _OTHER), generation=4)
    features = node.directory / "features.d"
    features.mkdir()
    with node.daemon("--features-dir", str(features)) as daemon:
        daemon.wait_ready()
        rounds = daemon.metric("monobase_last_check_timestamp_seconds")
        daemon.wait_until(lambda: daemon.metric("monobase_last_check_timestamp_seconds") > rounds)
        file = features / "monobase"
        daemon.wait_until(lambda: file.exists() and "ready=true" in file.read_text())
        page = daemon.get("/", "text/html")[1]
        readiness = json.loads(daemon.get("/readyz")[1])
        messages = [str(entry.get("message")) for entry in daemon.entries()]
        text = f"left out, as they have nothing for {platform.machine()}: g00004"
        assert [said for said in messages if "left out" in said] == [text]
    assert _VLLM in page
    assert [item["name"] for item in readiness["generations"]] == ["g00003"]
    assert len(readiness["generations"][0]["targets"]) == len(_cells(node, _OWN, b""))
    labels = file.read_text()
    assert "monobase-g00003=true\n" in labels
    assert "monobase-latest=g00003\n" in labels
    assert "g00004" not in labels


def test_a_generation_of_two_machines_takes_the_place_of_an_old_one(node: Node) -> None:
    old = node.wheel("old")
    node.define(on_platform(environment_cell([old]), _OWN), generation=2)
    node.install()
    _define_both(node)
    node.install("--min-gen-id", "3")
    gone = node.run("prune", "--min-gen-id", "3").stderr
    assert "gone generations g00002" in gone
    assert node.prefix.installed_generations() == ["g00003"]
    assert node.differences() == []
    node.run("ready", "--min-gen-id", "3")


@pytest.mark.parametrize("verb", ["install", "run", "ready", "prune"])
def test_a_prefix_of_another_machine_is_refused_and_stays_as_it_is(node: Node, verb: str) -> None:
    node.define(on_platform(environment_cell([node.wheel("alpha")]), _OWN))
    node.install()
    node.prefix.machine_file.write_text("riscv64\n")
    node.index.log.clear()
    more = {"prune": ["--min-gen-id", "0", "--dry-run"], "run": ["--listen", "off"]}.get(verb, [])
    refused = node.run(verb, *more, code=2)
    assert (
        f"{node.root}: is a prefix for riscv64, and this machine is {platform.machine()}: " in refused.stderr
    )
    assert node.index.log.requests() == ()
    assert node.prefix.machine_file.read_text() == "riscv64\n"
    node.verify()
