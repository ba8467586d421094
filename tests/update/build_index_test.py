"""Generations of Starlark with builds from PyTorch's indexes, one index for each build."""

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from gens.lock import Lock, LockedWheel
from tests.index.client import pip_command, pip_environment, uv_binary
from tests.index.repository import IndexRoot, pytorch_root
from tests.index.server import LocalIndex
from tests.index.torch_set import RELEASES, torch_wheel
from tests.index.wheel import WheelSpec
from tests.update.source_tree import BUILD_GENERATION, SourceTree, make_source_tree, publish

pytest_plugins = ["tests.index.fixture"]

CPU, CU118, CU121 = (f"python3.11-torch2.4.1-{build}" for build in ("cpu", "cu118", "cu121"))
CU118_INDEX = pytorch_root("cu118")
# A mirror of it may state upload times, so that `exclude-newer` does not hide its wheels.
CU118_MIRROR = IndexRoot(CU118_INDEX.path, files_beside_pages=True)


@pytest.fixture
def tree(local_index: LocalIndex, tmp_path: Path) -> SourceTree:
    return make_source_tree(local_index, tmp_path / "tree", [BUILD_GENERATION])


def lock_of(tree: SourceTree, target: str) -> Lock:
    return tree.lock(target, BUILD_GENERATION)


def wheel_of(tree: SourceTree, target: str, name: str) -> LockedWheel:
    (wheel,) = [wheel for wheel in lock_of(tree, target).wheels if wheel.name == name]
    return wheel


def test_a_build_has_local_versions_its_own_cuda_and_the_index_that_it_needs(tree: SourceTree) -> None:
    wheels = publish(tree.index)
    result = tree.update("--min-gen-id", "1")
    assert result.returncode == 0, result.stderr
    for target, build in ((CPU, "cpu"), (CU118, "cu118")):
        lock = lock_of(tree, target)
        assert (lock.index_url, lock.extra_index_urls) == (None, (f"{tree.index.origin}/whl/{build}/",))
        for name, version in (("torch", "2.4.1"), ("torchvision", "0.19.1"), ("torchaudio", "2.4.1")):
            locked = wheel_of(tree, target, name)
            assert locked.version == f"{version}+{build}"
            assert locked.filename == f"{name}-{version}+{build}-cp311-cp311-linux_x86_64.whl"
            published = wheels[locked.filename]
            assert (locked.sha256, locked.size_bytes) == (published.sha256, published.size_bytes)
    assert lock_of(tree, CU121).extra_index_urls == ()
    assert wheel_of(tree, CU121, "torch").version == "2.4.1"
    assert wheel_of(tree, CU118, "nvidia-cuda-runtime-cu11").version == "11.8.89"
    assert not [wheel for wheel in lock_of(tree, CPU).wheels if wheel.name.startswith("nvidia")]
    assert wheel_of(tree, "cudnn9-cuda11", "nvidia-cudnn-cu11").version == "9.1.0.70"


@pytest.mark.parametrize("root", [CU118_INDEX, CU118_MIRROR], ids=["html", "json"])
def test_what_an_index_of_a_build_has_besides_does_not_stand_in_for_the_default_one(
    tree: SourceTree, root: IndexRoot
) -> None:
    wheels = publish(tree.index)
    tree.index.add_root(root)
    tree.index.add(WheelSpec("filelock", "99.0"), root)
    tree.index.add(WheelSpec("sympy", "1.13.3", files={"sympy.py": b"shadow = True\n"}), root)
    tree.index.add(WheelSpec("setuptools", "1.0"), root)
    result = tree.update("--min-gen-id", "1")
    assert result.returncode == 0, result.stderr
    assert wheel_of(tree, CU118, "filelock").version == "3.16.1"
    assert wheel_of(tree, CU118, "setuptools").version == "75.1.0"
    sympy = wheel_of(tree, CU118, "sympy")
    assert sympy.sha256 == wheels[sympy.filename].sha256


def test_a_default_index_that_shadows_a_build_does_not_get_into_its_lock(tree: SourceTree) -> None:
    wheels = publish(tree.index)
    spec = torch_wheel(RELEASES["2.4.1"], "cp311", toolkit="12.1.1", local="+cu118")
    tree.index.add(replace(spec, files={"torch/__init__.py": b"shadow = True\n"}, executables=frozenset()))
    result = tree.update("--min-gen-id", "1")
    assert result.returncode == 0, result.stderr
    torch = wheel_of(tree, CU118, "torch")
    assert torch.sha256 == wheels[torch.filename].sha256
    assert wheel_of(tree, CU118, "nvidia-cuda-runtime-cu11").version == "11.8.89"


def test_a_build_that_its_index_lacks_is_an_error_and_not_another_build(tree: SourceTree) -> None:
    publish(tree.index)
    tree.index.repository.remove("torch-2.4.1+cu118-cp311-cp311-linux_x86_64.whl")
    result = tree.update("--min-gen-id", "1")
    assert result.returncode == 4
    assert f"g00001/{CU118} does not resolve; uv says:" in result.stderr
    assert "torch==2.4.1+cu118" in result.stderr
    assert tree.files().keys() <= {"gens.sum"}


@pytest.mark.parametrize("target", [CPU, CU118])
def test_pip_and_uv_both_take_a_lock_of_a_build(tree: SourceTree, tmp_path: Path, target: str) -> None:
    publish(tree.index)
    assert tree.update("--min-gen-id", "1").returncode == 0
    path, lock = tree.lock_path(target, BUILD_GENERATION), lock_of(tree, target)
    command = [*pip_command(), "download", "--no-deps", "--require-hashes", "-d", str(tmp_path / "wheels")]
    environment = pip_environment(tree.index, tmp_path)
    result = subprocess.run(
        [*command, "-r", str(path)], env=environment, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    found = {wheel.name: wheel.stat().st_size for wheel in (tmp_path / "wheels").iterdir()}
    assert found == {wheel.filename: wheel.size_bytes for wheel in lock.wheels}
    command = [uv_binary(), "pip", "install", "--target", str(tmp_path / "site"), "--python-version", "3.11"]
    command += ["--no-deps", "--require-hashes", "--index-strategy", "unsafe-best-match", "-r", str(path)]
    result = subprocess.run(command, env=tree.environment(), capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    build = target.rpartition("-")[2]
    assert f"'2.4.1+{build}'" in (tmp_path / "site/torch/version.py").read_text()
