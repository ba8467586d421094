"""Tests of the hint how to use an installed environment."""

from pathlib import Path

import pytest

from daemon.cli.usage_hint import installed_environments, usage_hint
from daemon.prefix.prefix import Prefix
from gens.catalog import load_catalog
from tests.synthetic.catalog import PYTHON, environment_cell, write_catalog

_PREFIX = Prefix(Path("/srv/with blank"))


@pytest.mark.parametrize(
    ("name", "variables"),
    [
        ("python3.11", "PYTHON_VERSION=3.11"),
        ("python3.11-torch2.4.1-cpu", "PYTHON_VERSION=3.11 TORCH_VERSION=2.4.1"),
        ("python3.11-torch2.4.1-cu121", "PYTHON_VERSION=3.11 TORCH_VERSION=2.4.1 CUDA_VERSION=12.1"),
        ("python3.12-vllm0.33.0", "PYTHON_VERSION=3.12 MONOBASE_STACK=vllm==0.33.0"),
        ("python3.12-train", "PYTHON_VERSION=3.12 MONOBASE_STACK=train"),
    ],
)
def test_a_model_is_told_its_variables(name: str, variables: str) -> None:
    hint = usage_hint(_PREFIX, [f"g00003/{name}"])
    assert f"MONOBASE_PREFIX='/srv/with blank' MONOBASE_GEN_ID=3 {variables}\n" in hint
    assert f"'/srv/with blank/monobase/g00003/{name}/bin/python' -c" in hint


def test_the_richest_environment_is_shown() -> None:
    hint = usage_hint(_PREFIX, ["g00001/python3.12", "g00001/python3.11-torch2.4.1-cpu", "g00001/cuda12.4"])
    assert "To use g00001/python3.11-torch2.4.1-cpu here" in hint
    assert "import torch" in hint


def test_toolkits_alone_are_not_used_by_themselves() -> None:
    assert usage_hint(_PREFIX, ["g00001/cuda12.4"]) == ""


def test_only_what_is_on_the_prefix_counts_as_installed(tmp_path: Path) -> None:
    cells = [environment_cell([]), environment_cell([], "2.4.1")]
    catalog = load_catalog(write_catalog(tmp_path / "gens", {0: cells, 1: cells}))
    prefix = Prefix(tmp_path / "prefix")
    (prefix.generation("g00001") / f"python{PYTHON}").mkdir(parents=True)
    assert installed_environments(prefix, catalog.generations) == [f"g00001/python{PYTHON}"]
