"""Second accelerators: Torch, Triton and CUDA's libraries are recognized by name and version."""

import pytest

from gens.generation import Environment, Generation, Inputs
from gens.lock import Lock, LockedWheel
from tools.layer.accelerator import second_accelerators
from tools.layer.base import Base

DATE = "2026-11-01T00:00:00Z"
DIGEST = "sha256:" + "a" * 64


def _base(cuda: str | None, *wheels: tuple[str, str]) -> Base:
    inputs = Inputs("3.12.1", "x86_64-manylinux_2_34", DATE, ("torch",))
    cell = Environment("3.12", "3.12.1", inputs, torch="2.13.0", build="cpu", cuda=cuda)
    lock = Lock(
        generation_id=1,
        kind="environment",
        target=cell.name,
        inputs=DIGEST,
        resolver="uv 0.13.9",
        exclude_newer=DATE,
        wheels=tuple(LockedWheel(name, version, "b" * 64, "x.whl", 7) for name, version in wheels),
    )
    generation = Generation(1, inputs.platform, DATE, {"3.12": "3.12.1"}, (cell,))
    return Base(generation, cell, lock, DIGEST)


@pytest.mark.parametrize(
    ("name", "version", "reason"),
    [
        ("torch", "2.14.0", "the base has torch 2.13.0"),
        ("triton", "3.7.1", "the base has no triton"),
        ("pytorch-triton-rocm", "3.2", "the base has no pytorch-triton-rocm"),
        ("nvidia-nccl-cu12", "2.29", "it is of CUDA 12, the base has CUDA 13.0"),
        ("nvidia-cublas", "13.1", "the base has nvidia-cublas 13.0"),
        ("cuda-bindings", "12.9.4", "it is of CUDA 12, the base has CUDA 13.0"),
        ("nvidia-nvshmem-cu13", "3.4", None),
        ("nvidia-cufile", "1.15", None),
        ("cuda-python", "13.0.1", None),
        ("cuda-core", "0.4.0", None),
        ("nvidia-ml-py", "13.0", None),
        ("torchmetrics", "1.9", None),
        ("torch-fidelity", "0.3", None),
        ("cudatoolkit-stubs", "1.0", None),
    ],
)
def test_a_second_torch_or_cuda_is_recognized_on_cuda_13(name: str, version: str, reason: str | None) -> None:
    base = _base("13.0", ("torch", "2.13.0"), ("nvidia-cublas", "13.0"))
    expected = [] if reason is None else [(name, reason)]
    assert list(second_accelerators(base, [(name, version)])) == expected


@pytest.mark.parametrize("name", ["nvidia-nccl-cu12", "nvidia-cublas", "cuda-toolkit"])
def test_any_library_of_cuda_is_one_too_many_on_a_base_without(name: str) -> None:
    assert list(second_accelerators(_base(None), [(name, "12.0")])) == [(name, "the base has no CUDA")]


def test_names_without_a_suffix_are_of_cuda_13_or_later() -> None:
    found = dict(second_accelerators(_base("12.8"), [("nvidia-cublas", "13.0"), ("nvidia-nccl-cu12", "2.1")]))
    assert found == {"nvidia-cublas": "it is of CUDA 13, the base has CUDA 12.8"}


def test_the_cuda_of_a_stack_is_that_of_its_runtime() -> None:
    base = _base(None, ("nvidia-cuda-runtime", "13.0.96"))
    assert not list(second_accelerators(base, [("nvidia-nccl-cu13", "2.1")]))
    assert dict(second_accelerators(base, [("nvidia-nccl-cu12", "2.1")])) == {
        "nvidia-nccl-cu12": "it is of CUDA 12, the base has CUDA 13.0"
    }
