"""Stacks in `tools:update`: real uv solves each with the pins of its base, on a real index on loopback."""

from dataclasses import replace
from pathlib import Path

import pytest

from gens.generation import Environment, Inputs
from tests.index.server import LocalIndex
from tests.index.wheel import WheelSpec
from tests.update.workshop import PYTHONS, Workshop, cell, generation, inputs, make_workshop, plain

pytest_plugins = ["tests.index.fixture"]
BASE = "python3.12-torch2.4.1-cu121"
STACK = "python3.12-vllm0.33.0"


@pytest.fixture
def workshop(local_index: LocalIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    return make_workshop(local_index, tmp_path, monkeypatch)


@pytest.fixture(autouse=True)
def _packages(workshop: Workshop) -> None:
    index = workshop.index
    for version in ("1.0", "2.0"):
        index.add(WheelSpec("shared", version))
    index.add(WheelSpec("vllm", "0.33.0", requires_dist=("torch==2.4.1", "numpy==1.26.4", "shared")))


def vllm(*requirements: str, base: Inputs | None = None) -> Environment:
    wanted = replace(inputs("3.12", "torch==2.4.1", "vllm==0.33.0", *requirements), base=base)
    return Environment(
        "3.12", PYTHONS["3.12"], wanted, "2.4.1", "cu121", "12.1", stack="vllm", stack_version="0.33.0"
    )


def base_cell() -> Environment:
    made = cell("3.12")
    return replace(made, inputs=replace(made.inputs, requirements=(*made.inputs.requirements, "shared==1.0")))


def test_a_stack_keeps_the_pins_of_its_base_and_its_lock_names_those_that_it_cannot_keep(
    workshop: Workshop,
) -> None:
    base = base_cell()
    workshop.define(generation(0, base, vllm(base=base.inputs)))
    output = workshop.update("--min-gen-id", "0").output
    found = workshop.versions(0, STACK)
    assert (found["shared"], found["numpy"]) == ("1.0", "1.26.4")
    assert workshop.versions(0, BASE)["numpy"] == "2.1.0"
    lock = workshop.lock(0, STACK)
    assert (lock.base, lock.conflicts) == (BASE, ("numpy==2.1.0",))
    assert "without its base's numpy 2.1.0" in output
    assert "are shared" in output
    assert "g00000: 2 locks, unchanged" in workshop.update("--min-gen-id", "0").output


def test_a_stack_without_a_base_gets_the_newest(workshop: Workshop) -> None:
    workshop.define(generation(0, vllm()))
    workshop.update("--min-gen-id", "0")
    assert workshop.versions(0, STACK)["shared"] == "2.0"
    assert workshop.lock(0, STACK).base is None


def test_only_the_stack_is_resolved_when_only_it_is_stale(workshop: Workshop) -> None:
    base = base_cell()
    workshop.define(generation(0, base))
    workshop.update("--min-gen-id", "0")
    before = workshop.tree()
    workshop.define(generation(0, base, vllm(base=base.inputs)))
    output = workshop.update("--min-gen-id", "0", "--reopen", "0").output
    assert f"g00000/{BASE}" not in output
    assert workshop.versions(0, STACK)["shared"] == "1.0"
    assert workshop.tree()[f"g00000/{BASE}.txt"] == before[f"g00000/{BASE}.txt"]


def test_a_stack_that_does_not_resolve_fails_alone(workshop: Workshop) -> None:
    base = base_cell()
    workshop.define(
        generation(0, base, vllm("absent-package", base=base.inputs)), generation(1, plain("3.11"))
    )
    output = workshop.update("--min-gen-id", "0", exit_code=4).output
    assert f"g00000 not sealed: 1 failed\ng00000/{STACK} does not resolve; uv says:" in output
    assert "absent-package" in output
    assert set(workshop.tree()) == {f"g00000/{BASE}.txt", "g00001/python3.11.txt", "gens.sum"}
    sums = (workshop.locks / "gens.sum").read_text()
    assert "g00001 " in sums
    assert "g00000 " not in sums
    # What is there is kept, and only the stack is asked for again.
    workshop.index.add(WheelSpec("absent-package", "1.0"))
    output = workshop.update("--min-gen-id", "0").output
    assert f"g00000/{BASE}" not in output
    assert "g00000 " in (workshop.locks / "gens.sum").read_text()


def test_a_stack_whose_base_does_not_resolve_says_so(workshop: Workshop) -> None:
    base = inputs("3.12", "absent-package")
    bad = Environment("3.12", PYTHONS["3.12"], base)
    workshop.define(generation(0, bad, vllm(base=base)))
    output = workshop.update("--min-gen-id", "0", exit_code=4).output
    assert "g00000 not written: 2 failed" in output
    assert "the environment that it builds on does not resolve" in output


def test_a_stack_that_fails_changes_nothing_of_a_sealed_generation(workshop: Workshop) -> None:
    base = base_cell()
    workshop.define(generation(0, base, vllm(base=base.inputs)))
    workshop.update("--min-gen-id", "0")
    before = workshop.tree()
    workshop.define(generation(0, base, vllm("absent-package", base=base.inputs)))
    assert "g00000 not written: 1 failed" in workshop.update("--min-gen-id", "0", exit_code=4).output
    assert workshop.tree() == before


def test_a_failed_stack_of_a_sealed_generation_says_how_the_others_are_written(workshop: Workshop) -> None:
    base = base_cell()
    workshop.define(generation(0, base, vllm(base=base.inputs)))
    workshop.update("--min-gen-id", "0")
    workshop.define(generation(0, base, vllm("absent-package", base=base.inputs)))
    assert "--reopen 0 writes its other locks" in workshop.update("--min-gen-id", "0", exit_code=4).output
    workshop.update("--min-gen-id", "0", "--reopen", "0", exit_code=4)
    # Its old lock may be of another base.
    assert f"g00000/{STACK}.txt" not in workshop.tree()
    assert f"g00000/{BASE}.txt" in workshop.tree()


def test_a_stack_is_resolved_again_with_its_base(workshop: Workshop) -> None:
    base = base_cell()
    workshop.define(generation(0, base, vllm(base=base.inputs)))
    workshop.update("--min-gen-id", "0")
    (workshop.locks / "g00000" / f"{BASE}.txt").unlink()
    output = workshop.update("--min-gen-id", "0").output
    assert f"g00000/{STACK}: " in output


def test_a_torch_that_a_stack_does_not_name_is_refused(workshop: Workshop) -> None:
    wanted = inputs("3.12", "vllm==0.33.0")
    serving = Environment("3.12", PYTHONS["3.12"], wanted, cuda="12.4", stack="serving")
    workshop.define(generation(0, serving))
    output = workshop.update("--min-gen-id", "0", exit_code=4).output
    assert "it has torch 2.4.1, which its packages require and it does not name: pin it" in output
    assert "the table says CUDA 12.4, the index gave nvidia-cuda-runtime-cu12 12.1.105" in output
    assert "correct its pins in gens/prod.bzl" in output


def test_a_placeholder_with_nothing_but_pre_releases_is_no_package(workshop: Workshop) -> None:
    workshop.index.add(WheelSpec("placeholder", "0.0.0a0"))
    workshop.define(generation(0, Environment("3.12", PYTHONS["3.12"], inputs("3.12", "placeholder"))))
    output = workshop.update("--min-gen-id", "0", exit_code=4).output
    assert "g00000/python3.12 does not resolve" in output


def test_a_pre_release_that_a_package_requires_by_its_version_is_taken(workshop: Workshop) -> None:
    for version in ("0.65b0", "0.66b2"):
        workshop.index.add(WheelSpec("conventions", version))
        workshop.index.add(WheelSpec("other", version.replace("b", "rc")))
    workshop.index.add(WheelSpec("other", "0.1"))
    workshop.index.add(WheelSpec("needy", "1.0", requires_dist=("conventions==0.66b2", "other")))
    workshop.define(generation(0, Environment("3.12", PYTHONS["3.12"], inputs("3.12", "needy"))))
    workshop.update("--min-gen-id", "0")
    assert workshop.versions(0, "python3.12") == {"conventions": "0.66b2", "needy": "1.0", "other": "0.1"}


def test_packages_in_several_versions_are_named_by_python(workshop: Workshop) -> None:
    workshop.index.add(WheelSpec("mixed", "2.0", requires_python=">=3.12"))
    workshop.index.add(WheelSpec("mixed", "1.0"))
    cells = [
        Environment(python, full, inputs(python, "mixed"), stack="train") for python, full in PYTHONS.items()
    ]
    workshop.define(generation(0, *cells))
    output = workshop.update("--min-gen-id", "0").output
    assert "train has mixed 1.0 (3.11), 2.0 (3.12)" in output


def test_the_locks_of_another_machine_lie_in_a_folder_of_its_name(workshop: Workshop) -> None:
    for machine in ("x86_64", "aarch64"):
        workshop.index.add(
            WheelSpec("native", "1.0", python_tag="py3", platform_tag=f"manylinux_2_28_{machine}")
        )
    cells = [
        Environment(
            "3.12", PYTHONS["3.12"], replace(inputs("3.12", "native"), platform=f"{machine}-manylinux_2_28")
        )
        for machine in ("x86_64", "aarch64")
    ]
    both = replace(generation(0, *cells), further_platforms=("aarch64-manylinux_2_28",))
    workshop.define(both)
    output = workshop.update("--min-gen-id", "0").output
    assert "g00000/aarch64/python3.12: 1 wheels" in output
    assert set(workshop.tree()) == {"g00000/python3.12.txt", "g00000/aarch64/python3.12.txt", "gens.sum"}
    assert b"manylinux_2_28_aarch64.whl" in workshop.tree()["g00000/aarch64/python3.12.txt"]
    assert "g00000: 2 locks, unchanged" in workshop.update("--min-gen-id", "0").output
