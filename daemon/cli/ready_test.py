"""`ready` on prefixes with strange content: a sentence, never a traceback."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from daemon.cli.main import main
from daemon.prefix.manifest import MANIFEST_NAME
from daemon.prefix.prefix import Prefix
from tests.synthetic.catalog import PYTHON, environment_cell, write_catalog

_NAME = f"python{PYTHON}"


@pytest.fixture
def gens(tmp_path: Path) -> Path:
    return write_catalog(tmp_path / "gens", {0: [environment_cell([])], 1: [environment_cell([])]})


def _ready(prefix: Path, gens: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["ready", "--prefix", str(prefix), "--gens", str(gens), *arguments])


def _file(path: Path, content: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


_STRANGE: dict[str, Callable[[Prefix], object]] = {
    "nothing": lambda _: None,
    "a file as monobase": lambda prefix: _file(prefix.generations),
    "a file as generation": lambda prefix: _file(prefix.generation("g00000")),
    "a folder as mark": lambda prefix: prefix.sealed_mark("g00000").mkdir(parents=True),
    "zeros as mark": lambda prefix: _file(prefix.sealed_mark("g00000"), "\0" * 100),
    "a list as mark": lambda prefix: _file(prefix.sealed_mark("g00000"), "[]"),
    "a deep mark": lambda prefix: _file(prefix.sealed_mark("g00000"), '{"a":' + "[" * 100_000),
    "a newer mark": lambda prefix: _file(prefix.sealed_mark("g00000"), '{"format": 7}'),
    "a mark without manifests": lambda prefix: _file(prefix.sealed_mark("g00000"), '{"manifests": []}'),
    "a folder as latest": lambda prefix: prefix.latest.mkdir(parents=True),
    "a file as latest": lambda prefix: _file(prefix.latest),
    "a folder as manifest": lambda prefix: (prefix.generation("g00000") / _NAME / MANIFEST_NAME).mkdir(
        parents=True
    ),
    "a file as environment": lambda prefix: _file(prefix.generation("g00000") / _NAME),
    "a folder as what is known": lambda prefix: (prefix.generations / ".known.json").mkdir(parents=True),
    "garbage as what is known": lambda prefix: _file(prefix.generations / ".known.json", "{"),
    "a newer file as what is known": lambda prefix: _file(
        prefix.generations / ".known.json", '{"format": 2, "damage": 5}'
    ),
}


@pytest.mark.parametrize("strange", _STRANGE)
def test_a_strange_prefix_is_not_ready_and_says_why(tmp_path: Path, gens: Path, strange: str) -> None:
    prefix = Prefix(tmp_path / "prefix")
    _STRANGE[strange](prefix)
    for arguments in ((), ("--json",), ("--only", _NAME)):
        done = _ready(prefix.root, gens, *arguments)
        assert (done.exit_code, "Traceback" in done.output) == (1, False), done.output
        if "--json" not in arguments:
            assert "not ready\ng00001: " in done.output


def test_a_link_that_leads_to_itself_is_not_ready(tmp_path: Path, gens: Path) -> None:
    prefix = Prefix(tmp_path / "prefix")
    for link in (prefix.latest, prefix.generation("g00000") / _NAME):
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(link.name)
    assert _ready(prefix.root, gens).exit_code == 1


def test_a_path_that_is_too_long_is_told(tmp_path: Path, gens: Path) -> None:
    done = _ready(tmp_path / ("x" * 300), gens)
    assert done.exit_code == 5
    assert "File name too long" in done.output


def test_a_file_as_prefix_is_told(tmp_path: Path, gens: Path) -> None:
    _file(tmp_path / "prefix")
    done = _ready(tmp_path / "prefix", gens)
    assert done.exit_code == 5
    assert "is not a directory; name a directory with --prefix" in done.output


def test_a_definition_that_cannot_be_read_is_named_beside_the_others(tmp_path: Path, gens: Path) -> None:
    path = gens / "g00001.json"
    path.write_text("{")
    done = _ready(tmp_path / "prefix", gens)
    assert done.exit_code == 1
    assert f"g00001: {path}" in done.output
    assert "g00000: 0 of 1 ready" in done.output
    for one in gens.glob("*.json"):
        one.write_text("{")
    assert _ready(tmp_path / "prefix", gens).exit_code == 3


def test_what_failed_and_its_next_try_are_told(tmp_path: Path, gens: Path) -> None:
    prefix = Prefix(tmp_path / "prefix")
    retry = {"subject": "prune", "attempts": 2, "reason": "busy", "next_try_s": 1_700_000_000}
    known = {"format": 1, "failures": {}, "damage": {}, "retries": [retry]}
    _file(prefix.generations / ".known.json", json.dumps(known))
    said = _ready(prefix.root, gens).output
    assert "prune failed 2 times in a row, next try at 2023-11-14 22:13:20 UTC: busy" in said
