"""Generations of Starlark, and a synthetic Torch that comes from the default index."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.index.fault import latency
from tests.index.server import LocalIndex
from tests.index.wheel import WheelSpec
from tests.update.source_tree import (
    BOUNDED_GENERATION,
    PLAIN_GENERATION,
    SourceTree,
    make_source_tree,
    publish,
)

pytest_plugins = ["tests.index.fixture"]

TARGETS = {
    "python3.10",
    "python3.10-torch2.3.1-cu121",
    "python3.10-torch2.4.1-cu121",
    "python3.11",
    "python3.11-torch2.3.1-cu121",
    "python3.11-torch2.4.1-cu121",
    "cuda12.1",
    "cudnn9-cuda12",
}
NUMPY = WheelSpec("numpy", "2.0.0", python_tag="cp310", abi_tag="cp310", platform_tag="manylinux_2_17_x86_64")


@pytest.fixture
def tree(local_index: LocalIndex, tmp_path: Path) -> SourceTree:
    return make_source_tree(local_index, tmp_path / "tree", [PLAIN_GENERATION])


def versions(tree: SourceTree, target: str) -> dict[str, str]:
    return {wheel.name: wheel.version for wheel in tree.lock(target).wheels}


def test_each_target_gets_a_lock_of_the_wheels_that_the_index_has(tree: SourceTree) -> None:
    wheels = publish(tree.index)
    result = tree.update("--min-gen-id", "0")
    assert result.returncode == 0, result.stderr
    assert "g00000: 8 locks, 8 written, 0 removed" in result.stdout
    assert set(tree.files()) == {"gens.sum", *(f"g00000/{target}.txt" for target in TARGETS)}
    for target in TARGETS:
        for locked in tree.lock(target).wheels:
            wheel = wheels[locked.filename]
            assert (locked.sha256, locked.size_bytes) == (wheel.sha256, wheel.size_bytes)
    python310 = {wheel.filename for wheel in tree.lock("python3.10-torch2.4.1-cu121").wheels}
    assert "torch-2.4.1-cp310-cp310-manylinux1_x86_64.whl" in python310
    assert versions(tree, "python3.11-torch2.4.1-cu121")["nvidia-cuda-runtime-cu12"] == "12.1.105"
    assert versions(tree, "python3.11") == {"setuptools": "75.1.0", "wheel": "0.44.0"}
    assert versions(tree, "cuda12.1").keys() >= {"cuda-toolkit", "nvidia-cuda-nvcc-cu12"}
    assert versions(tree, "cudnn9-cuda12") == {"nvidia-cudnn-cu12": "9.1.0.70"}


def test_no_wheel_is_downloaded_and_no_lock_names_a_host(tree: SourceTree) -> None:
    publish(tree.index)
    assert tree.update("--min-gen-id", "0").returncode == 0
    assert not tree.index.log.wheel_downloads()
    assert not [
        name for name, content in tree.files().items() if b"http" in content or b"127.0.0.1" in content
    ]


def test_the_bytes_are_the_same_at_any_parallelism_and_order_of_answers(tree: SourceTree) -> None:
    publish(tree.index)
    assert tree.update("--min-gen-id", "0", "--jobs", "1").returncode == 0
    alone = tree.files()
    for jobs, slow in (("8", "*/torch/*"), ("3", "*/simple/*")):
        tree.locks.rename(tree.folder / f"gens-before-{jobs}")
        tree.locks.mkdir()
        with tree.index.fault(latency(slow, delay_s=0.2, times=7)):
            assert tree.update("--min-gen-id", "0", "--jobs", jobs, cache=f"cache-{jobs}").returncode == 0
        assert tree.files() == alone


def test_a_newer_release_for_another_python_is_taken_by_that_python_alone(tree: SourceTree) -> None:
    publish(tree.index)
    tree.index.add(NUMPY)
    tree.index.add(replace(NUMPY, version="2.1.0", platform_tag="manylinux_2_17_aarch64"))
    assert tree.update("--min-gen-id", "0").returncode == 0
    assert versions(tree, "python3.10-torch2.4.1-cu121")["numpy"] == "2.0.0"
    assert versions(tree, "python3.11-torch2.4.1-cu121")["numpy"] == "1.26.4"


@pytest.mark.parametrize("setting", [None, "UV_NO_CONFIG", "UV_CONFIG_FILE"])
def test_a_bound_of_the_table_holds_whatever_the_configuration_of_the_machine(
    local_index: LocalIndex, tmp_path: Path, setting: str | None
) -> None:
    tree = make_source_tree(local_index, tmp_path / "tree", [BOUNDED_GENERATION])
    publish(local_index)
    local_index.add(replace(NUMPY, python_tag="cp311", abi_tag="cp311"))
    configuration = tmp_path / "uv.toml"
    configuration.write_text(f'[[index]]\nurl = "{local_index.url()}"\ndefault = true\n')
    values = {"UV_NO_CONFIG": "1", "UV_CONFIG_FILE": str(configuration)}
    result = tree.update("--min-gen-id", "2", **({setting: values[setting]} if setting else {}))
    assert result.returncode == 0, result.stderr
    lock = tree.lock("python3.11-torch2.2.2-cu121", BOUNDED_GENERATION)
    assert [wheel.version for wheel in lock.wheels if wheel.name == "numpy"] == ["1.26.4"]


def test_of_several_wheels_of_a_release_the_lock_has_the_one_that_uv_installs(tree: SourceTree) -> None:
    publish(tree.index)
    best = replace(NUMPY, version="1.26.5", python_tag="cp311", abi_tag="cp311")
    tree.index.add(replace(best, platform_tag="manylinux_2_39_x86_64"))
    chosen = tree.index.add(replace(best, platform_tag="manylinux_2_28_x86_64"))
    tree.index.add(best)
    tree.index.add(replace(best, python_tag="py3", abi_tag="none", platform_tag="any"))
    tree.index.add(replace(best, python_tag="cp312", abi_tag="cp312"))
    assert tree.update("--min-gen-id", "0").returncode == 0
    (numpy,) = [w for w in tree.lock("python3.11-torch2.4.1-cu121").wheels if w.name == "numpy"]
    assert (numpy.filename, numpy.sha256) == (chosen.filename, chosen.sha256)


def test_check_of_a_tree_without_seals_exits_1_and_writes_none(tree: SourceTree) -> None:
    publish(tree.index)
    assert tree.update("--min-gen-id", "0").returncode == 0
    (tree.locks / "gens.sum").unlink()
    before = tree.files()
    result = tree.update("--min-gen-id", "0", "--check")
    assert (result.returncode, "would change g00000 (not sealed)" in result.stderr) == (1, True)
    assert tree.files() == before
