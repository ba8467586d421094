"""Tests of the base of a layer: which one it is, how it is activated, and who installs it."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from gens.errors import DefinitionError
from layers.base import find_base, provide_base
from layers.errors import LayerBaseError
from tests.layer.sample_base import base_of, lock_on


def test_the_base_is_the_environment_with_the_toolkit_of_its_cuda(tmp_path: Path) -> None:
    base = base_of(tmp_path)
    assert base.targets == ("python3.12-torch2.13.0-cu130", "cuda13.0")
    assert base.python == tmp_path / "prefix/monobase/g00002/python3.12-torch2.13.0-cu130/bin/python"


def test_a_base_without_cuda_or_whose_toolkit_the_generation_lacks_is_the_environment_alone(
    tmp_path: Path,
) -> None:
    assert base_of(tmp_path / "1", "python3.12").targets == ("python3.12",)
    assert base_of(tmp_path / "2", "python3.12-torch2.10.0-cu128").targets == (
        "python3.12-torch2.10.0-cu128",
    )


def test_a_base_is_activated_by_its_versions_and_a_stack_by_its_name(tmp_path: Path) -> None:
    torch = base_of(tmp_path / "1").variables()
    assert torch["MONOBASE_GEN_ID"] == "2"
    assert torch["PYTHON_VERSION"] == "3.12"
    assert torch["TORCH_VERSION"] == "2.13.0+cu130"
    assert torch["CUDA_VERSION"] == "13.0"
    assert torch["MONOBASE_STACK"] == ""
    stack = base_of(tmp_path / "2", "python3.12-vllm0.33").variables()
    assert (stack["MONOBASE_STACK"], stack["TORCH_VERSION"]) == ("vllm==0.33", "")


def test_an_unknown_environment_is_refused_with_its_generation(tmp_path: Path) -> None:
    lock, catalog = lock_on(tmp_path)
    with pytest.raises(LayerBaseError, match=r"^g00002 .* has no python3\.14-torch9\.0-cpu for "):
        find_base(replace(lock, environment="python3.14-torch9.0-cpu"), catalog, tmp_path)
    with pytest.raises(DefinitionError, match="no generation 7"):
        find_base(replace(lock, generation_id=7), catalog, tmp_path)


def test_a_base_with_another_lock_is_refused_with_both_digests_unless_its_wheels_are_the_same(
    tmp_path: Path,
) -> None:
    lock, catalog = lock_on(tmp_path)
    other = "sha256:" + "c" * 64
    assert find_base(replace(lock, base=other), catalog, tmp_path).environment.name == lock.environment
    with pytest.raises(LayerBaseError) as caught:
        find_base(replace(lock, base=other, content=other), catalog, tmp_path)
    assert other in str(caught.value)
    assert lock.base in str(caught.value)


def make_installer(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    folder.mkdir()
    (folder / "monobase").write_text(f'#!/bin/sh\necho "$@" >>{folder}/calls\n{script}\n')
    (folder / "monobase").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.defpath}")


def test_what_the_prefix_lacks_is_installed_and_nothing_when_it_has_both(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = base_of(tmp_path)
    folders = " ".join(str(base.folder / name) for name in base.targets)
    make_installer(tmp_path / "bin", monkeypatch, f"mkdir -p {folders}")
    provide_base(base, tmp_path / "gens")
    provide_base(base, tmp_path / "gens")
    assert (tmp_path / "bin/calls").read_text() == (
        f"install --prefix {tmp_path}/prefix --min-gen-id 2 --max-gen-id 2 "
        f"--only python3.12-torch2.13.0-cu130 --only cuda13.0 --gens {tmp_path}/gens\n"
    )


def test_a_failed_installer_ends_with_its_exit_code_and_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = base_of(tmp_path)
    make_installer(tmp_path / "bin", monkeypatch, "exit 5")
    with pytest.raises(
        LayerBaseError, match=r"python3\.12-torch2\.13\.0-cu130 and cuda13\.0 .* exit code 5;"
    ):
        provide_base(base)


def test_without_an_installer_the_builder_image_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        LayerBaseError, match=r"no `monobase` here to install it; do this in the builder image"
    ):
        provide_base(base_of(tmp_path))
