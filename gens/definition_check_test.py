"""A definition cannot name what lies outside of the prefix, nor an option of a program."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gens.errors import DefinitionError
from gens.generation import Environment, Generation, Inputs, Toolkit, format_generation, parse_generation
from gens.path_component import path_component

_PATH = Path("g00003.json")
_INPUTS = Inputs(
    "3.11.10", "x86_64-manylinux_2_28", "2026-11-01T00:00:00Z", ("torch==2.4.1",), ("numpy<2",),
    "https://host.example/cu121", ("torch",),
)  # fmt: skip
_GENERATION = Generation(
    3,
    "x86_64-manylinux_2_28",
    "2026-11-01T00:00:00Z",
    {"3.11": "3.11.10", "3.14": "3.14.0rc1"},
    (
        Environment("3.11", "3.11.10", _INPUTS),
        Environment("3.11", "3.11.10", _INPUTS, "2.4.1", "cu121", "12.1"),
        Environment(
            "3.11", "3.11.10", replace(_INPUTS, base=_INPUTS), "2.4.1", "cu121", "12.1", "vllm", "0.33.0"
        ),
    ),
    (Toolkit("cuda", "12.1", "12.1.1", _INPUTS), Toolkit("cudnn", "9", "9.1.0.70", _INPUTS, "12")),
    {"12.1": "12.1.1"},
    {"9": "9.1.0.70"},
    ("2.4.1",),
    ("setuptools", "wheel"),
    {"cu121": "https://host.example/cu121"},
    (_INPUTS,),
    ("aarch64-manylinux_2_34",),
)
_HOSTILE = (
    "", ".", "..", "3.11/../../../../x", "/etc", "../x", "-rx", "--config-settings=x", ".staging", "a\nb",
    "a\0b",
    "3.11\t", "1" * 2_000, "\ud800", "3.11\u2028",
)  # fmt: skip


def _places(value: Any, found: list[Callable[[str], None]]) -> list[Callable[[str], None]]:  # noqa: ANN401
    """Return a function for each text of a definition, keys included, that replaces it."""
    if isinstance(value, dict):
        for key in list(value):
            if isinstance(value[key], str):
                found.append(lambda text, at=value, key=key: at.__setitem__(key, text))  # type: ignore[misc]
            _places(value[key], found)
    if isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, str):
                found.append(lambda text, at=value, index=index: at.__setitem__(index, text))  # type: ignore[misc]
            _places(item, found)
    return found


def test_a_sound_definition_passes() -> None:
    assert parse_generation(format_generation(_GENERATION), _PATH) == _GENERATION


def test_every_text_is_looked_at() -> None:
    text = format_generation(_GENERATION)
    count = len(_places(json.loads(text), []))
    assert count > 50
    for number in range(count):
        for hostile in _HOSTILE:
            definition = json.loads(text)
            _places(definition, [])[number](hostile)
            content = json.dumps(definition)
            with pytest.raises(DefinitionError, match=r"^g00003\.json: "):
                parse_generation(content, _PATH)


@pytest.mark.parametrize("field", ["python", "cuda", "cudnn", "indexes"])
@pytest.mark.parametrize("hostile", _HOSTILE[:8])
def test_a_key_is_looked_at(field: str, hostile: str) -> None:
    definition = json.loads(format_generation(_GENERATION))
    definition[field][hostile] = next(iter(definition[field].values()))
    with pytest.raises(DefinitionError, match=f"a key of {field} is "):
        parse_generation(json.dumps(definition), _PATH)


@pytest.mark.parametrize("number", [-1, 10**9])
def test_an_id_is_a_number_that_a_name_can_hold(number: int) -> None:
    definition = json.loads(format_generation(_GENERATION)) | {"id": number}
    with pytest.raises(DefinitionError, match=f"id is {number}"):
        parse_generation(json.dumps(definition), _PATH)


@pytest.mark.parametrize(
    "hostile", ["3.11/../../../../x", "../x", "a\nb", "a\0b", "1" * 300, "a b", "\ud800"]
)
def test_where_a_path_is_made_it_is_looked_at_again(hostile: str) -> None:
    for target in (
        Environment(hostile, "3.11.10", _INPUTS),
        Environment("3.11", "3.11.10", _INPUTS, hostile, "cpu"),
        Environment("3.11", "3.11.10", _INPUTS, "2.4.1", hostile),
        Toolkit("cuda", hostile, "12.1.1", _INPUTS),
        Toolkit("cudnn", "9", "9.1.0.70", _INPUTS, hostile),
    ):
        with pytest.raises(DefinitionError, match="cannot be a part of a path"):
            _ = target.name
    with pytest.raises(DefinitionError, match="cannot be a part of a path"):
        _ = Toolkit("cuda", "12.1", hostile, _INPUTS).directory_name


@pytest.mark.parametrize("hostile", _HOSTILE)
def test_a_part_of_a_path_is_one_part_and_no_option(hostile: str) -> None:
    with pytest.raises(DefinitionError, match="cannot be a part of a path"):
        path_component(hostile)
