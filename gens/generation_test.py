"""Generations: names, digests, and definitions as JSON."""

from dataclasses import replace
from pathlib import Path

import pytest

from gens.errors import DefinitionError
from gens.generation import Environment, Generation, Inputs, Toolkit, format_generation, parse_generation

PATH = Path("gens/g00003.json")
INPUTS = Inputs(
    python="3.11.10",
    platform="x86_64-manylinux_2_28",
    exclude_newer="2026-11-01T00:00:00Z",
    requirements=("torch==2.4.1", "pip"),
)
PLAIN = Environment("3.11", "3.11.10", INPUTS)
CELL = Environment("3.11", "3.11.10", INPUTS, torch="2.4.1", build="cu121", cuda="12.1")
CUDA = Toolkit("cuda", "12.4", "12.4.1", INPUTS)
CUDNN = Toolkit("cudnn", "9", "9.1.0.70", INPUTS, cuda_major="12")
GENERATION = Generation(
    id=3,
    platform="x86_64-manylinux_2_28",
    exclude_newer="2026-11-01T00:00:00Z",
    python={"3.11": "3.11.10"},
    environments=(PLAIN, CELL),
    toolkits=(CUDA, CUDNN),
    cuda={"12.4": "12.4.1"},
    cudnn={"9": "9.1.0.70"},
    torch=("2.4.1",),
    packages=("pip",),
)


def test_names_are_those_of_paths() -> None:
    assert GENERATION.directory_name == "g00003"
    assert [target.name for target in GENERATION.targets] == [
        "python3.11",
        "python3.11-torch2.4.1-cu121",
        "cuda12.4",
        "cudnn9-cuda12",
    ]
    assert [toolkit.directory_name for toolkit in GENERATION.toolkits] == [
        "cuda-12.4.1",
        "cudnn-9.1.0.70-cuda12",
    ]


ARM = replace(INPUTS, platform="aarch64-manylinux_2_34")
BOTH = replace(
    GENERATION,
    further_platforms=("aarch64-manylinux_2_34",),
    environments=(*GENERATION.environments, replace(PLAIN, inputs=ARM)),
    toolkits=(*GENERATION.toolkits, replace(CUDA, inputs=ARM)),
    absences=(INPUTS, ARM),
)


def test_a_stack_gives_its_name_to_its_environment_whatever_torch_it_has() -> None:
    vllm = replace(CELL, stack="vllm", stack_version="0.33.0")
    assert vllm.name == "python3.11-vllm0.33.0"
    assert replace(vllm, stack="train", stack_version=None).name == "python3.11-train"


def test_only_locks_of_another_machine_lie_in_a_folder_of_its_name() -> None:
    assert [target.lock_name for target in BOTH.targets] == [
        "python3.11.txt",
        "python3.11-torch2.4.1-cu121.txt",
        "aarch64/python3.11.txt",
        "cuda12.4.txt",
        "cudnn9-cuda12.txt",
        "aarch64/cuda12.4.txt",
    ]


def test_a_machine_has_the_targets_of_its_platform_and_no_others() -> None:
    assert BOTH.machines == ("x86_64", "aarch64")
    arm = BOTH.for_machine("aarch64")
    assert arm.platforms == ("aarch64-manylinux_2_34",)
    assert [target.full_name for target in arm.targets] == ["aarch64/python3.11", "aarch64/cuda12.4"]
    assert arm.absences == (ARM,)
    assert replace(BOTH.for_machine("x86_64"), absences=()) == GENERATION


def test_a_machine_without_a_platform_is_told_which_there_are() -> None:
    with pytest.raises(DefinitionError, match="g00003 is for x86_64 and aarch64, not for riscv64"):
        BOTH.for_machine("riscv64")


def test_a_definition_for_two_machines_is_read_back_as_it_was_written() -> None:
    assert parse_generation(format_generation(BOTH), PATH) == BOTH


def test_the_base_of_a_stack_decides_its_resolution() -> None:
    assert replace(INPUTS, base=ARM).digest != INPUTS.digest
    assert replace(INPUTS, base=ARM).digest != replace(INPUTS, base=INPUTS).digest


def test_a_target_is_found_by_its_name() -> None:
    assert GENERATION.target("cudnn9-cuda12") == CUDNN
    with pytest.raises(
        DefinitionError, match=r"g00003 has no 'python3\.12'; it has python3\.11, python3\.11-torch"
    ):
        GENERATION.target("python3.12")


def test_a_definition_is_read_back_as_it_was_written() -> None:
    assert parse_generation(format_generation(GENERATION), PATH) == GENERATION


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "truncated"),
        ("[]", "Expected `object`"),
        ("{}", "missing required field `id`"),
        ('{"id": "3"}', "Expected `int`"),
    ],
)
def test_a_malformed_definition_is_refused_with_its_path(text: str, reason: str) -> None:
    with pytest.raises(DefinitionError) as refused:
        parse_generation(text, PATH)
    assert str(refused.value).startswith(f"{PATH}: ")
    assert reason in str(refused.value)


def test_two_targets_of_one_name_are_refused() -> None:
    text = format_generation(replace(GENERATION, environments=(CELL, CELL)))
    with pytest.raises(DefinitionError, match=r"two targets are named python3\.11-torch2\.4\.1-cu121"):
        parse_generation(text, PATH)


@pytest.mark.parametrize(
    "other",
    [
        replace(INPUTS, python="3.11.11"),
        replace(INPUTS, platform="x86_64-manylinux_2_31"),
        replace(INPUTS, exclude_newer="2026-11-02T00:00:00Z"),
        replace(INPUTS, requirements=("torch==2.4.1",)),
        replace(INPUTS, constraints=("numpy<2",)),
        replace(INPUTS, index_url="https://example.org/cu118"),
        replace(INPUTS, index_packages=("torch",)),
        replace(INPUTS, no_deps=True),
    ],
)
def test_each_input_changes_the_digest(other: Inputs) -> None:
    assert other.digest != INPUTS.digest


def test_the_digest_of_inputs_never_changes() -> None:
    # All locks carry it: with another canonical form, those that are checked in would belong to nothing.
    assert INPUTS.digest == "sha256:bcbeb2b1e2ac64f7326735196eec5a52e2d027d04f6f5458e465ff0f59d555ea"


def test_a_change_of_the_definition_changes_the_digest_of_its_field_alone() -> None:
    before, after = GENERATION.field_digests, replace(GENERATION, packages=("pip", "wheel")).field_digests
    assert {name for name in before if before[name] != after[name]} == {"packages"}


def test_empty_fields_have_no_digest_so_that_a_new_field_breaks_no_seal() -> None:
    assert "indexes" not in GENERATION.field_digests
    assert "absences" not in GENERATION.field_digests
    assert "packages" in GENERATION.field_digests
