"""Checks the texts of a definition, which become parts of paths, arguments and lines of files."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from gens.errors import DefinitionError
from gens.path_component import path_component

if TYPE_CHECKING:
    from gens.generation import Environment, Generation, Inputs, Toolkit

_MAX_ID = 99_999_999
_MINOR = (re.compile(r"[0-9]{1,6}\.[0-9]{1,6}"), "a minor version such as 3.11")
_VERSION = (re.compile(r"[0-9][0-9A-Za-z.+]{0,40}"), "a version such as 3.11.10")
_BUILD = (re.compile(r"[a-z][a-z0-9.]{0,20}"), "a build tag such as cu121")
_MAJOR = (re.compile(r"[0-9]{1,6}"), "a major version such as 12")
_PLATFORM = (
    re.compile(r"[a-z][a-z0-9_]{0,40}(-[a-z0-9_]{1,40}){0,4}"),
    "a platform such as x86_64-manylinux_2_28",
)
_TIME = (
    re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:.]{1,20}(Z|[+-][0-9:]{1,5}))?"),
    "a time such as 2026-11-01T00:00:00Z",
)
_URL = (re.compile(r"[a-z][a-z0-9+.-]*://[!-~]{1,1000}"), "an address such as https://host/simple")
_REQUIREMENT = (
    re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,100}(\[[A-Za-z0-9._, -]{0,100}\])?( *[<>=!~;(][ -~]{0,1000})?"),
    "a requirement such as numpy==1.26.4",
)
_STACK = (re.compile(r"(?!torch)[a-z](-?[a-z0-9]){0,40}"), "a normalized name such as vllm, other than torch")
_TOGETHER = (re.compile("(?!)"), "there together with torch")
_Form = tuple[re.Pattern[str], str]


def check_definition(generation: "Generation", path: Path) -> None:
    """Check that each text of a definition has the form that its field requires.

    Args:
        generation: The generation.
        path: File that it was read from, for messages.

    Raises:
        DefinitionError: A text does not have the form of its field; the message names both.
    """
    if not 0 <= generation.id <= _MAX_ID:
        raise DefinitionError(f"{path}: id is {generation.id}, not a number from 0 to {_MAX_ID}")
    for field, text, (form, what) in _texts(generation):
        if form.fullmatch(text) is None:
            raise DefinitionError(f"{path}: {field} is {text!r}, not {what}")
    try:
        for target in generation.targets:
            path_component(target.name)
    except DefinitionError as error:
        raise DefinitionError(f"{path}: {error}") from error


def _texts(generation: "Generation") -> Iterator[tuple[str, str, _Form]]:
    for platform in generation.platforms:
        yield "platform", platform, _PLATFORM
    yield "exclude_newer", generation.exclude_newer, _TIME
    for field, versions, key_form in (
        ("python", generation.python, _MINOR),
        ("cuda", generation.cuda, _VERSION),
        ("cudnn", generation.cudnn, _VERSION),
    ):
        for key, full in versions.items():
            yield f"a key of {field}", key, key_form
            yield f"{field}[{key}]", full, _VERSION
    for release in generation.torch:
        yield "torch", release, _VERSION
    for package in generation.packages:
        yield "packages", package, _REQUIREMENT
    for tag, url in generation.indexes.items():
        yield "a key of indexes", tag, _BUILD
        yield f"indexes[{tag}]", url, _URL
    for cell in generation.environments:
        yield from _environment(cell)
    for toolkit in generation.toolkits:
        yield from _toolkit(toolkit)
    for absence in generation.absences:
        yield from _inputs(absence)


def _environment(cell: "Environment") -> Iterator[tuple[str, str, _Form]]:
    yield "python of an environment", cell.python, _MINOR
    yield "python_full of an environment", cell.python_full, _VERSION
    for field, value, form in (
        ("torch", cell.torch, _VERSION), ("build", cell.build, _BUILD), ("cuda", cell.cuda, _VERSION),
        ("stack", cell.stack, _STACK), ("stack_version", cell.stack_version, _VERSION),
    ):  # fmt: skip
        if value is not None:
            yield f"{field} of an environment", value, form
    if (cell.torch is None) != (cell.build is None):
        yield "build of an environment", str(cell.build), _TOGETHER
    yield from _inputs(cell.inputs)


def _toolkit(toolkit: "Toolkit") -> Iterator[tuple[str, str, _Form]]:
    yield "version of a toolkit", toolkit.version, _VERSION
    yield "full_version of a toolkit", toolkit.full_version, _VERSION
    if toolkit.cuda_major is not None:
        yield "cuda_major of a toolkit", toolkit.cuda_major, _MAJOR
    yield from _inputs(toolkit.inputs)


def _inputs(inputs: "Inputs") -> Iterator[tuple[str, str, _Form]]:
    yield "python of inputs", inputs.python, _VERSION
    yield "platform of inputs", inputs.platform, _PLATFORM
    yield "exclude_newer of inputs", inputs.exclude_newer, _TIME
    for requirement in (*inputs.requirements, *inputs.constraints, *inputs.index_packages):
        yield "a requirement of inputs", requirement, _REQUIREMENT
    if inputs.index_url is not None:
        yield "index_url of inputs", inputs.index_url, _URL
    if inputs.base is not None:
        yield from _inputs(inputs.base)
