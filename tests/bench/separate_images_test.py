from pathlib import Path

import pytest

from gens.catalog import Catalog
from gens.generation import Environment, Generation, Inputs, Toolkit
from gens.lock import Lock, LockedWheel, format_lock
from tests.bench.separate_images import (
    distinct_wheel_bytes,
    held_bytes,
    layered_bytes,
    separate_images,
)

INPUTS = Inputs("3.11.10", "x86_64-manylinux_2_28", "2026-11-01T00:00:00Z", ("a",))
PLAIN = Environment("3.11", "3.11.10", INPUTS)
CPU = Environment("3.11", "3.11.10", INPUTS, "2.4.1", "cpu", None)
CUDA = Environment("3.11", "3.11.10", INPUTS, "2.4.1", "cu121", "12.1")
CUDA_310 = Environment("3.10", "3.10.15", INPUTS, "2.4.1", "cu121", "12.1")
TOOLKITS = (
    Toolkit("cuda", "12.1", "12.1.1", INPUTS),
    Toolkit("cuda", "12.4", "12.4.1", INPUTS),
    Toolkit("cudnn", "8", "8.9.7.29", INPUTS, "12"),
    Toolkit("cudnn", "9", "9.1.0.70", INPUTS, "12"),
)
GENERATION = Generation(
    1, "x86_64-manylinux_2_28", "2026-11-01T00:00:00Z", {}, (PLAIN, CPU, CUDA, CUDA_310), TOOLKITS
)
PIP = ("pip", "1.0", 1)
TORCH = ("torch", "2.4.1", 100)
CUBLAS = ("nvidia-cublas-cu12", "12.1", 1000)
CUDNN_OF_TORCH = ("nvidia-cudnn-cu12", "9.1.0.2", 10_000)
NVCC = ("nvidia-cuda-nvcc-cu12", "12.1", 100_000)
CUDNN = ("nvidia-cudnn-cu12", "9.1.0.70", 1_000_000)
OTHER = ("nvidia-other", "1.0", 10_000_000)
WHEELS = {
    "python3.11": [PIP],
    "python3.11-torch2.4.1-cpu": [PIP, ("torch", "2.4.1+cpu", 50)],
    "python3.11-torch2.4.1-cu121": [CUBLAS, CUDNN_OF_TORCH, PIP, TORCH],
    "python3.10-torch2.4.1-cu121": [CUBLAS, CUDNN_OF_TORCH, PIP, TORCH],
    "cuda12.1": [CUBLAS, NVCC],
    "cuda12.4": [OTHER],
    "cudnn8-cuda12": [("nvidia-cudnn-cu12", "8.9.7.29", 20_000_000)],
    "cudnn9-cuda12": [CUDNN],
}
BASE = 7


@pytest.fixture
def catalog(tmp_path: Path) -> Catalog:
    folder = tmp_path / "g00001"
    folder.mkdir()
    for target in GENERATION.targets:
        wheels = tuple(
            LockedWheel(
                name,
                version,
                f"{size_bytes:064x}",
                f"{name.replace('-', '_')}-{version}-py3-none-any.whl",
                size_bytes,
            )
            for name, version, size_bytes in WHEELS[target.name]
        )
        lock = Lock(
            1, target.kind, target.name, target.inputs.digest, "uv 0.13.9", "2026-11-01T00:00:00Z", wheels
        )
        (folder / f"{target.name}.txt").write_text(format_lock(lock))
    return Catalog((GENERATION,), tmp_path)


def test_an_image_of_a_cuda_build_has_the_toolkits_of_its_build_and_no_others(catalog: Catalog) -> None:
    found = {image.environment: sorted(image.toolkits) for image in separate_images(catalog, GENERATION)}
    assert found == {
        "python3.11": [],
        "python3.11-torch2.4.1-cpu": [],
        "python3.11-torch2.4.1-cu121": ["cuda12.1", "cudnn9-cuda12"],
        "python3.10-torch2.4.1-cu121": ["cuda12.1", "cudnn9-cuda12"],
    }


def test_each_image_holds_its_system_and_each_of_its_wheels_once(catalog: Catalog) -> None:
    images = separate_images(catalog, GENERATION)
    cuda = 1 + 100 + 1000 + 10_000
    assert held_bytes(images, BASE, with_toolkits=False) == 4 * BASE + 1 + 51 + 2 * cuda
    # cuBLAS, which environment and toolkit both name, counts once in an image.
    assert held_bytes(images, BASE, with_toolkits=True) == 4 * BASE + 1 + 51 + 2 * (cuda + 1_100_000)


def test_stacked_on_shared_layers_system_and_toolkits_count_once_and_each_environment_whole(
    catalog: Catalog,
) -> None:
    images = separate_images(catalog, GENERATION)
    environments = 1 + 51 + 2 * (1 + 100 + 1000 + 10_000)
    toolkits = 1000 + 100_000 + 1_000_000
    assert layered_bytes(images, BASE, with_toolkits=False) == BASE + environments
    assert layered_bytes(images, BASE, with_toolkits=True) == BASE + environments + toolkits


def test_each_distinct_wheel_of_the_generation_counts_once_toolkits_included(catalog: Catalog) -> None:
    wheels = {size_bytes for target in WHEELS.values() for _, _, size_bytes in target}
    assert distinct_wheel_bytes(catalog, GENERATION) == sum(wheels)
