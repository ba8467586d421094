"""`//tools:matrix` as a command."""

import dataclasses
import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from gens.generation import Environment
from tests.index.wheel import Wheel, WheelSpec
from tests.synthetic.catalog import PYTHON, Cell, environment_cell, toolkit_cell, write_catalog
from tools.matrix import main

_SHARED = Wheel(WheelSpec("shared", "1"), Path("shared-1-py3-none-any.whl"), 3_000, "a" * 64, b"")
_TORCH = Wheel(WheelSpec("torch", "2.4.1"), Path("torch-2.4.1-py3-none-any.whl"), 7_000, "b" * 64, b"")


@pytest.fixture
def gens(tmp_path: Path) -> Path:
    cells = [environment_cell([_SHARED]), environment_cell([_SHARED, _TORCH], "2.4.1")]
    return write_catalog(tmp_path / "gens", {0: cells[:1], 1: [*cells, toolkit_cell([_SHARED], "12.4.1")]})


def _run(gens: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["--definitions", str(gens), "--locks", str(gens), *arguments])


def test_the_newest_generation_is_listed(gens: Path) -> None:
    result = _run(gens)
    assert result.exit_code == 0, result.output
    assert result.output.startswith("g00001, x86_64-manylinux_2_28, nothing newer than")
    assert "3 locks name 2 distinct wheels of 10.0 kB; separate downloads would take 16.0 kB" in result.output


def test_the_document_has_the_bytes_of_each_target(gens: Path) -> None:
    document = json.loads(_run(gens, "--json", "--gen", "1").output)
    (cell,) = [item for item in document["environments"] if item["torch"]]
    assert cell["name"] == f"python{PYTHON}-torch2.4.1-cpu"
    assert (cell["wheel_bytes"], cell["added_bytes"]) == (10_000, 7_000)
    assert cell["minimum_driver"] is None  # a build for the CPU
    assert document["toolkits"][0]["added_bytes"] == 0
    assert document["content"] == {"locks": 3, "locked_bytes": 16_000, "wheels": 2, "wheel_bytes": 10_000}


def test_a_stack_is_listed_with_its_torch(tmp_path: Path) -> None:
    plain = environment_cell([_SHARED, _TORCH], "2.4.1")
    assert isinstance(plain.target, Environment)
    stack = Cell(dataclasses.replace(plain.target, stack="vllm", stack_version="0.33.0"), plain.wheels)
    result = _run(write_catalog(tmp_path / "gens", {0: [plain, stack]}))
    assert result.exit_code == 0, result.output
    assert re.search(r"^vllm +0\.33\.0 +2\.4\.1 +cpu", result.output, re.MULTILINE), result.output


def test_the_page_has_all_generations_and_links_their_locks(gens: Path) -> None:
    page = gens.parent / "docs" / "page.html"
    page.parent.mkdir()
    result = _run(gens, "--html", str(page))
    assert result.exit_code == 0, result.output
    text = page.read_text()
    assert '<section id="g00000"' in text
    assert f'href="../gens/g00001/python{PYTHON}-torch2.4.1-cpu.txt"' in text


def test_the_page_of_one_generation_has_no_other(gens: Path) -> None:
    page = gens.parent / "page.html"
    assert _run(gens, "--html", str(page), "--gen", "0").exit_code == 0
    assert "g00001" not in page.read_text()


def test_a_relative_path_is_relative_to_the_caller_of_bazel(
    gens: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BUILD_WORKING_DIRECTORY", str(gens.parent))
    assert _run(gens, "--html", "here.html").exit_code == 0
    assert (gens.parent / "here.html").exists()


def test_a_page_that_cannot_be_written_is_wrong_usage(gens: Path) -> None:
    result = _run(gens, "--html", str(gens / "absent" / "page.html"))
    assert result.exit_code == 2
    assert "absent/page.html: cannot be written: No such file or directory; name a file" in result.output


def test_the_page_is_no_document_for_programs(gens: Path) -> None:
    result = _run(gens, "--html", "page.html", "--json")
    assert result.exit_code == 2
    assert "exclude each other" in result.output
