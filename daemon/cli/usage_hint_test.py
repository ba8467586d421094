"""Tests of the hint how to use an installed environment."""

from dataclasses import replace
from pathlib import Path

import pytest

from daemon.cli.usage_hint import installed_environments, usage_hint
from daemon.prefix.prefix import Prefix
from gens.catalog import load_catalog
from gens.generation import Environment, Generation, Inputs
from tests.synthetic.catalog import PYTHON, environment_cell, write_catalog

_PREFIX = Prefix(Path("/srv/with blank"))


_PLAIN = Environment("3.11", "3.11.9", Inputs("3.11.9", "x86_64-manylinux_2_34", "2026-11-01T00:00:00Z", ()))
_CPU = replace(_PLAIN, torch="2.4.1", build="cpu")
_CUDA = replace(_PLAIN, torch="2.4.1", build="cu121", cuda="12.1")
_LLM = replace(_CUDA, stack="tensorrt-llm2", stack_version="1.2.0")
_CELLS = (_PLAIN, _CPU, _CUDA, _LLM, replace(_PLAIN, stack="train"))


def _hint(*cells: Environment, among: tuple[Environment, ...] = _CELLS) -> str:
    generation = Generation(3, _PLAIN.inputs.platform, _PLAIN.inputs.exclude_newer, {}, among)
    return usage_hint(_PREFIX, [generation], ["g00003/cuda12.1", *(f"g00003/{cell.name}" for cell in cells)])


@pytest.mark.parametrize(
    ("cell", "variables"),
    [
        (_PLAIN, "PYTHON_VERSION=3.11"),
        (_CPU, "PYTHON_VERSION=3.11 TORCH_VERSION=2.4.1"),
        (_CUDA, "PYTHON_VERSION=3.11 TORCH_VERSION=2.4.1 CUDA_VERSION=12.1"),
        (_LLM, "PYTHON_VERSION=3.11 MONOBASE_STACK=tensorrt-llm2==1.2.0"),
        (_CELLS[-1], "PYTHON_VERSION=3.11 MONOBASE_STACK=train"),
    ],
)
def test_a_model_is_told_its_variables(cell: Environment, variables: str) -> None:
    hint = _hint(cell)
    assert f"MONOBASE_PREFIX='/srv/with blank' MONOBASE_GEN_ID=3 {variables}\n" in hint
    assert f"'/srv/with blank/monobase/g00003/{cell.name}/bin/python' -c" in hint


def test_the_richest_environment_is_shown() -> None:
    newer = replace(_PLAIN, python="3.12")
    hint = _hint(newer, _CPU, among=(newer, _CPU))
    assert "To use g00003/python3.11-torch2.4.1-cpu here" in hint
    assert "import torch" in hint


def test_toolkits_alone_are_not_used_by_themselves() -> None:
    assert _hint() == ""


def test_only_what_is_on_the_prefix_counts_as_installed(tmp_path: Path) -> None:
    cells = [environment_cell([]), environment_cell([], "2.4.1")]
    catalog = load_catalog(write_catalog(tmp_path / "gens", {0: cells, 1: cells}))
    prefix = Prefix(tmp_path / "prefix")
    (prefix.generation("g00001") / f"python{PYTHON}").mkdir(parents=True)
    assert installed_environments(prefix, catalog.generations) == [f"g00001/python{PYTHON}"]
