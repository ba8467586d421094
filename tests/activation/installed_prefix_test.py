import re
from pathlib import Path

import pytest

from gens.drivers import MINIMUM_DRIVERS
from runtime.sample_machine import OPEN_DRIVER, make_sample_machine
from runtime.shells import EXEC, RUNTIME, SYSTEM_PATH, Outcome, read_only, run
from tests.index.server import LocalIndex
from tests.node.node import PLAIN, SITE, Node, make_node
from tests.node.small_generation import define_small_generation
from tests.synthetic.catalog import PYTHON, environment_cell, on_platform, stack_cell

pytest_plugins = ["tests.index.fixture"]


@pytest.fixture
def node(local_index: LocalIndex, tmp_path: Path) -> Node:
    node = make_node(local_index, tmp_path)
    define_small_generation(node)
    return node


def execute(node: Node, *command: str, mount: tuple[str, ...] = (), **variables: str) -> Outcome:
    asked = {"PATH": SYSTEM_PATH, "MONOBASE_PREFIX": str(node.root), "PYTHON_VERSION": PYTHON} | variables
    return run([*mount, str(EXEC), *command], asked)


def test_each_environment_of_a_sealed_generation_is_activated_from_a_read_only_mount(node: Node) -> None:
    node.install()
    mount = read_only(node.root)
    before = {path: path.lstat().st_ctime_ns for path in node.root.rglob("*")}

    plain = execute(node, "python", "-c", "import alpha; print(alpha.NAME)", mount=mount)
    torches = [
        execute(
            node, "python", "-c", "import torch; print(torch.v)",
            mount=mount, TORCH_VERSION=torch, CUDA_VERSION="12.4.1", CUDNN_VERSION="9.1.0.70",
        )
        for torch in ("2.4.1", "2.5.1")
    ]  # fmt: skip

    assert plain == Outcome(0, "alpha\n", "")
    assert torches == [Outcome(0, "2.4.1\n", ""), Outcome(0, "2.5.1\n", "")]
    assert {path: path.lstat().st_ctime_ns for path in node.root.rglob("*")} == before


def test_the_search_paths_lead_to_the_files_of_the_toolkits(node: Node) -> None:
    node.install()

    after = execute(node, "env", TORCH_VERSION="2.5.1", CUDA_VERSION="12.4", CUDNN_VERSION="9").variables

    torch = node.environment(f"{PLAIN}-torch2.5.1-cu124")
    libraries = [Path(folder) for folder in after["LD_LIBRARY_PATH"].split(":")]
    assert libraries[2] == torch / SITE / "nvidia" / "cublas" / "lib"
    assert (Path(after["CUDA_HOME"]) / "include" / "cublas.h").is_file()
    assert any((folder / "libcudnn.so.9").is_file() for folder in libraries)
    assert all(Path(folder).is_dir() for folder in after["LIBRARY_PATH"].split(":"))
    assert any((Path(folder) / "libcublas.so").exists() for folder in after["LIBRARY_PATH"].split(":"))


def test_what_a_partial_install_left_out_is_told_from_what_is_unknown(node: Node) -> None:
    node.install("--only", PLAIN)

    plain = execute(node, "python", "-c", "import alpha; print(alpha.NAME)")
    missing = execute(node, "true", TORCH_VERSION="2.4.1", CUDA_VERSION="12.4")
    unknown = execute(node, "true", TORCH_VERSION="2.4.1", CUDA_VERSION="12.1")

    assert plain == Outcome(0, "alpha\n", "")
    assert (missing.code, unknown.code) == (69, 69)
    left_out = f"{PLAIN}-torch2.4.1-cu124 of generation g00000 is left out on this node by its selection"
    assert f"{left_out}: --only {PLAIN}." in missing.stderr
    assert "same Python and Torch: CUDA_VERSION=12.4" in unknown.stderr


def test_a_stack_of_the_own_machine_is_activated_by_its_name(node: Node) -> None:
    alpha, torch = node.wheel(), node.wheel("torch", "2.14.0", files={"torch/__init__.py": b"v = '2.14.0'\n"})
    vllm = node.wheel("vllm", "0.33.0")
    bare = environment_cell([alpha, torch], "2.14.0", "cu130")
    both = environment_cell([alpha, torch, vllm], "2.14.0", "cu130")
    stacks = [stack_cell(both, "vllm", "0.33.0"), stack_cell(bare, "train")]
    cells = [environment_cell([alpha]), bare, *stacks]
    node.define(*cells, *map(on_platform, cells), generation=1)
    node.install("--min-gen-id", "1")
    code = "import torch; print(torch.v)"

    found = {
        stack: execute(node, "python", "-c", code, mount=read_only(node.root), MONOBASE_STACK=stack)
        for stack in ("vllm", "vllm==0.33.0", "train")
    }
    vllm_itself = execute(node, "python", "-c", "import vllm; print(vllm.NAME)", MONOBASE_STACK="vllm")
    unknown = execute(node, "true", MONOBASE_STACK="sglang")

    assert set(found.values()) == {Outcome(0, "2.14.0\n", "")}
    assert vllm_itself == Outcome(0, "vllm 0.33.0\n", "")
    assert unknown.code == 69
    assert "train" in unknown.stderr
    assert "vllm" in unknown.stderr


@pytest.mark.parametrize(("driver", "code"), [("570.211.01", 71), ("580.65.06", 0)])
def test_a_driver_is_compared_with_what_the_installed_list_says(
    node: Node, tmp_path: Path, driver: str, code: int
) -> None:
    torch = node.wheel("torch", "2.14.0", files={"torch/__init__.py": b""})
    builds = [environment_cell([torch], "2.14.0", build) for build in ("cu128", "cu130")]
    node.define(environment_cell([torch]), *builds, stack_cell(builds[1], "train"), generation=1)
    node.install("--min-gen-id", "1")
    machine = make_sample_machine(tmp_path / "machine")
    machine.add_gpu(OPEN_DRIVER.format(driver))

    def start(**variables: str) -> Outcome:
        asked = {"PATH": SYSTEM_PATH, "MONOBASE_PREFIX": str(node.root), "PYTHON_VERSION": PYTHON}
        return run([str(machine.runtime / "exec"), "python", "-c", ""], asked | variables)

    for variables in ({"TORCH_VERSION": "2.14.0", "CUDA_VERSION": "13.0"}, {"MONOBASE_STACK": "train"}):
        outcome = start(**variables)
        assert outcome.code == code, outcome.stderr
        assert ("needs the NVIDIA driver 580.65.06 or newer, for CUDA 13.0" in outcome.stderr) == (code != 0)
    assert start(TORCH_VERSION="2.14.0", CUDA_VERSION="12.8") == Outcome(0, "", "")


def test_the_runtime_knows_the_drivers_of_the_table_where_a_list_has_none() -> None:
    text = (RUNTIME / "activation" / "fit.sh").read_text()
    known = dict(re.findall(r"\b([0-9]+)\) _mb_need=([0-9.]+)", text))
    assert known == MINIMUM_DRIVERS


def test_a_venv_on_top_has_its_own_package_and_the_torch_of_the_base(node: Node, tmp_path: Path) -> None:
    node.install()
    code = "import sys, torch; print(torch.v, sys.prefix)"

    outcome = execute(
        node, "python", "-c", code, mount=read_only(node.root),
        TORCH_VERSION="2.4.1", CUDA_VERSION="12.4", MONOBASE_USER_VENV=str(tmp_path / "venv"),
    )  # fmt: skip

    assert outcome == Outcome(0, f"2.4.1 {tmp_path / 'venv'}\n", "")
