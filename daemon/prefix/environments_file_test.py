"""The list that the runtime reads."""

import os
from pathlib import Path

import pytest

from daemon.prefix.environments_file import (
    ListedTarget,
    environments_text,
    has_readable_list,
    list_as_missing,
    listed_targets,
    read_targets,
    replace_environments,
    write_environments,
)
from daemon.prefix.gpu_architectures import architectures_path, keep_architectures
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.synthetic.catalog import PYTHON, PYTHON_FULL, environment_cell, stack_cell, toolkit_cell


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    fake.define(0)
    return fake


def test_the_list_says_what_is_there_and_what_is_missing(fake: FakePrefix) -> None:
    fake.publish(0, fake.environment)
    assert environments_text(fake.prefix, fake.generation(0), sealed=False) == (
        "monobase-environments 1\n"
        "generation g00000 partial\n"
        "platform x86_64-manylinux_2_28\n"
        f"python {PYTHON} {PYTHON_FULL}\n"
        "cudnn cudnn9-cuda12 missing 9 9.1.0.70 12\n"
        f"environment python{PYTHON} ready {PYTHON} {PYTHON_FULL} - - -\n"
    )
    assert read_targets(fake.prefix, "g00000") == [
        ListedTarget("cudnn", "cudnn9-cuda12", False),
        ListedTarget("environment", f"python{PYTHON}", True),
    ]


def test_stacks_have_lines_of_their_own_with_their_torch(fake: FakePrefix) -> None:
    torch = environment_cell([fake.wheel("torch", "2.14.0")], "2.14.0", "cu130")
    jax = stack_cell(environment_cell([fake.wheel("jax")]), "jax", "0.12.0.1")
    fake.define(1, torch, stack_cell(torch, "vllm", "0.33.0"), stack_cell(torch, "train"), jax)
    fake.publish(1, f"python{PYTHON}-train")
    start = f"{PYTHON} {PYTHON_FULL}"
    lines = environments_text(fake.prefix, fake.generation(1), sealed=False).splitlines()
    assert lines[-4:] == [
        f"environment python{PYTHON}-torch2.14.0-cu130 missing {start} 2.14.0 cu130 13.0",
        f"stack python{PYTHON}-vllm0.33.0 missing {start} 2.14.0 cu130 13.0 vllm 0.33.0",
        f"stack python{PYTHON}-train ready {start} 2.14.0 cu130 13.0 train -",
        f"stack python{PYTHON}-jax0.12.0.1 missing {start} - - - jax 0.12.0.1",
    ]
    assert ListedTarget("stack", f"python{PYTHON}-train", True) in read_targets(fake.prefix, "g00001")
    assert f"python{PYTHON}-vllm0.33.0" in listed_targets(fake.prefix, "g00001")


def test_the_list_has_the_oldest_driver_of_each_cuda_version(fake: FakePrefix) -> None:
    wheels = [fake.wheel("torch", "2.14.0")]
    cuda = toolkit_cell([fake.wheel("nvidia-cuda-runtime")], "11.8.0")
    builds = [environment_cell(wheels, "2.14.0", build) for build in ("cu130", "cu124", "cpu", "cu999")]
    fake.define(1, *builds, cuda)
    lines = environments_text(fake.prefix, fake.generation(1), sealed=False).splitlines()
    assert [line for line in lines if line.startswith("driver")] == [
        "driver 13.0 580.65.06", "driver 12.4 525.60.13", "driver 11.8 450.80.02",
    ]  # fmt: skip


def test_the_list_has_the_gpu_architectures_of_an_installed_torch_of_which_they_are_known(
    fake: FakePrefix,
) -> None:
    one, other = (fake.wheel("torch", version) for version in ("2.13.0", "2.14.0"))
    first = environment_cell([one, fake.wheel("alpha")], "2.13.0", "cu130")
    second = environment_cell([other], "2.14.0", "cu130")
    fake.define(1, environment_cell([fake.wheel("alpha")]), first, second, stack_cell(first, "train"))
    name = first.target.name
    keep_architectures(fake.prefix, one.sha256, ["sm_80", "sm_90a", "compute_90"])

    def known() -> list[str]:
        lines = environments_text(fake.prefix, fake.generation(1), sealed=False).splitlines()
        return [line for line in lines if line.startswith("architectures")]

    assert known() == []
    fake.publish(1)
    assert known() == [
        f"architectures {name} sm_80 sm_90a compute_90",
        f"architectures python{PYTHON}-train sm_80 sm_90a compute_90",
    ]
    list_as_missing(fake.prefix, "g00001", name)
    lines = fake.prefix.environments_file("g00001").read_text().splitlines()
    assert f"architectures python{PYTHON}-train sm_80 sm_90a compute_90" in lines
    assert [line.split()[:3] for line in lines if f" {name} " in line] == [["environment", name, "missing"]]
    architectures_path(fake.prefix, one.sha256).write_bytes(b"damaged")
    assert known() == []


def test_a_list_is_written_only_when_it_says_something_else(fake: FakePrefix) -> None:
    write_environments(fake.prefix, fake.generation(0), sealed=False)
    path = fake.prefix.environments_file("g00000")
    inode = path.stat().st_ino
    write_environments(fake.prefix, fake.generation(0), sealed=False)
    assert path.stat().st_ino == inode
    write_environments(fake.prefix, fake.generation(0), sealed=True)
    assert "generation g00000 sealed" in path.read_text()


@pytest.mark.parametrize("obstacle", ["folder", "link", "pipe"])
def test_a_list_replaces_whatever_has_its_name(fake: FakePrefix, obstacle: str) -> None:
    path = fake.prefix.environments_file("g00000")
    path.parent.mkdir()
    if obstacle == "folder":
        (path / "deep").mkdir(parents=True)
    elif obstacle == "link":
        path.symlink_to("nowhere")
    else:
        os.mkfifo(path)
    assert not has_readable_list(fake.prefix, "g00000")
    assert read_targets(fake.prefix, "g00000") == []
    replace_environments(fake.prefix, fake.generation(0), sealed=False)
    assert has_readable_list(fake.prefix, "g00000")
    assert path.is_file()


def test_no_list_yet_is_readable_and_a_foreign_file_is_not(fake: FakePrefix) -> None:
    assert has_readable_list(fake.prefix, "g00000")
    path = fake.prefix.environments_file("g00000")
    path.parent.mkdir()
    path.write_bytes(b"something else\nenvironment python3.11\n\xff\n")
    assert not has_readable_list(fake.prefix, "g00000")
    assert listed_targets(fake.prefix, "g00000") == ["python3.11"]
    assert read_targets(fake.prefix, "g00000") == []


@pytest.mark.parametrize("number", [0, 1])
def test_a_list_without_an_environment_is_the_one_that_is_written_when_it_has_gone(
    fake: FakePrefix, number: int
) -> None:
    alpha, prefix = fake.wheel("alpha"), fake.prefix
    fake.install(
        1, environment_cell([alpha]), stack_cell(environment_cell([alpha]), "train"), fake.cudnn_cell()
    )
    generation = fake.generation(1)
    gone = generation.environments[number].name
    list_as_missing(prefix, "g00001", gone)
    fake.tree(1, gone).rename(fake.directory / "away")
    expected = environments_text(prefix, generation, sealed=False)
    assert prefix.environments_file("g00001").read_text() == expected
    assert f" {gone} missing " in expected
