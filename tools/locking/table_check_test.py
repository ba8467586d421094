"""The Torch table against what an index gave."""

from dataclasses import replace

import pytest

from gens.generation import Environment, Inputs
from gens.lock import LockedWheel
from tools.locking.resolver import Resolution, UnsatisfiableError
from tools.locking.table_check import absence_disagreement, cell_disagreements

INPUTS = Inputs("3.11.10", "x86_64-manylinux_2_28", "2026-11-01T00:00:00Z", ("torch==2.4.1",))
FROM_BUILD_INDEX = Inputs(
    INPUTS.python,
    INPUTS.platform,
    INPUTS.exclude_newer,
    ("torch==2.4.1+cu118",),
    index_url="https://example.org/cu118",
)
CELL = Environment("3.11", "3.11.10", INPUTS, torch="2.4.1", build="cu121", cuda="12.1")


def wheels(**versions: str) -> tuple[LockedWheel, ...]:
    return tuple(
        LockedWheel(name.replace("_", "-"), version, "0" * 64, "-", 1) for name, version in versions.items()
    )


@pytest.mark.parametrize(
    ("cell", "versions"),
    [
        (CELL, {"torch": "2.4.1", "nvidia_cuda_runtime_cu12": "12.1.105"}),
        (CELL, {"torch": "2.4.1"}),
        (Environment("3.11", "3.11.10", INPUTS), {"pip": "26.2"}),
        (
            Environment("3.11", "3.11.10", FROM_BUILD_INDEX, torch="2.4.1", build="cu118", cuda="11.8"),
            {"torch": "2.4.1+cu118", "nvidia_cuda_runtime_cu11": "11.8.89"},
        ),
        (
            Environment("3.11", "3.11.10", INPUTS, torch="2.15.0", build="cu132", cuda="13.2"),
            {"torch": "2.15.0", "nvidia_cuda_runtime": "13.2.86"},
        ),
        (Environment("3.11", "3.11.10", INPUTS, torch="2.4.1", build="cpu"), {"torch": "2.4.1+cpu"}),
    ],
)
def test_a_cell_that_is_what_the_table_says_is_silent(cell: Environment, versions: dict[str, str]) -> None:
    assert list(cell_disagreements(cell, wheels(**versions))) == []


@pytest.mark.parametrize(
    ("cell", "versions", "message"),
    [
        (
            CELL,
            {"torch": "2.4.1", "nvidia_cuda_runtime_cu12": "12.4.127"},
            "the table says CUDA 12.1, the index gave nvidia-cuda-runtime-cu12 12.4.127",
        ),
        (CELL, {"torch": "2.4.2"}, "the table says torch 2.4.1, the index gave 2.4.2"),
        (CELL, {"pip": "26.2"}, "the table says torch 2.4.1, the index gave None"),
        (
            Environment("3.11", "3.11.10", FROM_BUILD_INDEX, torch="2.4.1", build="cu118", cuda="11.8"),
            {"torch": "2.4.1"},
            "the table says build cu118, the index gave torch 2.4.1",
        ),
        (
            Environment("3.11", "3.11.10", INPUTS, torch="2.4.1", build="cpu"),
            {"torch": "2.4.1", "nvidia_cuda_runtime_cu12": "12.1.105"},
            "the table says no CUDA, the index gave nvidia-cuda-runtime-cu12 12.1.105",
        ),
    ],
)
def test_a_cell_that_is_not_what_the_table_says_is_named(
    cell: Environment, versions: dict[str, str], message: str
) -> None:
    assert list(cell_disagreements(cell, wheels(**versions))) == [message]


def test_what_the_table_leaves_out_and_the_index_serves_is_named() -> None:
    resolution = Resolution((LockedWheel("torch", "2.4.1", "0" * 64, "torch-2.4.1-cp311.whl", 1),), ())
    assert absence_disagreement(INPUTS, resolution) == (
        "gens/releases.json says there is no torch==2.4.1 for Python 3.11.10, the index gave "
        "torch-2.4.1-cp311.whl; run `bazel run //tools:update_releases`"
    )
    assert absence_disagreement(INPUTS, UnsatisfiableError("No solution found")) is None


def test_a_companion_that_has_appeared_beside_a_torch_is_named_by_its_wheel() -> None:
    asked = replace(INPUTS, requirements=("torch==2.4.1", "torchvision>=0.16.0"))
    resolution = Resolution(
        (
            LockedWheel("torch", "2.4.1", "0" * 64, "torch-2.4.1-cp311.whl", 1),
            LockedWheel("torchvision", "0.19.1", "0" * 64, "torchvision-0.19.1-py3.whl", 1),
        ),
        (),
    )
    said = absence_disagreement(asked, resolution)
    assert said is not None
    assert said.startswith(
        "gens/releases.json says there is no torchvision>=0.16.0 beside torch==2.4.1 for Python 3.11.10, the "
        "index gave torchvision-0.19.1-py3.whl"
    )
