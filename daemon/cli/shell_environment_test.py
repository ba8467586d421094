"""Tests that a name, or a part of one, finds the environment that a user means."""

import pytest

from daemon.cli.shell_environment import find_environment, find_toolkit
from gens.errors import DefinitionError
from gens.generation import Environment, Generation, Inputs, Toolkit

_BOUND = "2026-11-01T00:00:00Z"


def _inputs(python: str) -> Inputs:
    return Inputs(f"{python}.1", "x86_64-manylinux_2_34", _BOUND, ())


def _torch(python: str, release: str, build: str) -> Environment:
    cuda = f"{build[2:-1]}.{build[-1]}"
    return Environment(python, f"{python}.1", _inputs(python), release, build, cuda)


def _plain(python: str) -> Environment:
    return Environment(python, f"{python}.1", _inputs(python))


def _stack(python: str, stack: str, version: str | None) -> Environment:
    return Environment(
        python, f"{python}.1", _inputs(python), "2.13.0", "cu130", "13.0", stack=stack, stack_version=version
    )


def _generation(number: int, *environments: Environment) -> Generation:
    toolkits = (
        Toolkit("cuda", "13.0", "13.0.2", _inputs("3.12")),
        Toolkit("cudnn", "9", "9.1.0.70", _inputs("3.12"), "13"),
    )
    return Generation(number, "x86_64-manylinux_2_34", _BOUND, {}, environments, toolkits)


_OLD = _generation(
    1, _plain("3.11"), _torch("3.11", "2.1.0", "cu121"), _torch("3.11", "2.13.0", "cu130")
)  # fmt: skip
_NEW = _generation(
    2, _plain("3.11"), _plain("3.12"), _torch("3.11", "2.13.0", "cu130"), _torch("3.12", "2.13.0", "cu130"),
    _torch("3.12", "2.14.1", "cu130"), _stack("3.12", "vllm", "0.33.0"), _stack("3.12", "train", None),
)  # fmt: skip


def _found(asked: str, generation_id: int | None = None) -> str:
    generation, environment = find_environment((_OLD, _NEW), asked, generation_id)
    return f"{generation.directory_name}/{environment.name}"


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("python3.11-torch2.13.0-cu130", "g00002/python3.11-torch2.13.0-cu130"),
        ("python3.12", "g00002/python3.12"),
        ("python3.11-torch2.1.0-cu121", "g00001/python3.11-torch2.1.0-cu121"),
        ("torch2.14", "g00002/python3.12-torch2.14.1-cu130"),
        ("3.12-torch2.13", "g00002/python3.12-torch2.13.0-cu130"),
        ("python3.11-cu130", "g00002/python3.11-torch2.13.0-cu130"),
        ("vllm", "g00002/python3.12-vllm0.33.0"),
        ("vllm0.33", "g00002/python3.12-vllm0.33.0"),
        ("train", "g00002/python3.12-train"),
        ("torch2.1", "g00001/python3.11-torch2.1.0-cu121"),
        ("cu121", "g00001/python3.11-torch2.1.0-cu121"),
    ],
)
def test_a_name_or_a_part_of_one_finds_the_newest_environment_that_it_fits(asked: str, found: str) -> None:
    assert _found(asked) == found


def test_a_generation_that_is_named_is_the_only_one_that_is_searched() -> None:
    assert _found("torch2.13", 1) == "g00001/python3.11-torch2.13.0-cu130"
    with pytest.raises(
        DefinitionError, match=r"fits no environment of g00002; another generation has it: g00001"
    ):
        _found("torch2.1", 2)


def test_a_part_that_several_environments_have_is_refused_with_their_names() -> None:
    with pytest.raises(
        DefinitionError, match=r"fits 2 environments of g00002: python3\.11-torch2\.13\.0-cu130, "
    ):
        _found("torch2.13.0")


@pytest.mark.parametrize(
    "asked", ["torch2.12.1-cu130", "tor2.13", "torch2.130", "", "-", "3.1", "pytohn3.12", "*"]
)
def test_a_name_that_fits_nothing_is_refused_with_the_nearest(asked: str) -> None:
    with pytest.raises(DefinitionError, match=r"fits no environment of g0000.*near it are: python3"):
        _found(asked)


def test_a_generation_that_does_not_exist_is_refused_with_those_that_do() -> None:
    with pytest.raises(DefinitionError, match=r"there is no generation 7; there are 1, 2"):
        _found("python3.12", 7)


def test_the_toolkit_of_an_environment_is_that_of_its_cuda() -> None:
    toolkit = find_toolkit(_NEW, _torch("3.12", "2.13.0", "cu130"))
    assert toolkit is not None
    assert toolkit.name == "cuda13.0"
    assert find_toolkit(_NEW, _plain("3.12")) is None
    assert find_toolkit(_NEW, _torch("3.12", "2.13.0", "cu121")) is None
