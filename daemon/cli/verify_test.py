"""`verify` on the command line: what is read, and what is repaired."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from daemon.cli import verify as verify_command
from daemon.cli.main import main
from daemon.errors import IndexAccessError
from daemon.install.options import InstallOptions
from daemon.prefix.finding import Finding
from daemon.prefix.prefix import Prefix
from daemon.upkeep.repair import RepairResult
from gens.selection import EVERYTHING
from tests.synthetic.catalog import environment_cell, write_catalog


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    prefix = Prefix(tmp_path / "prefix")
    for name in ("g00000", "g00001"):
        prefix.generation(name).mkdir(parents=True)
    return prefix


def _verify(prefix: Prefix, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["verify", "--prefix", str(prefix.root), *arguments])


def test_without_a_difference_the_exit_code_is_0_and_a_line_tells_what_was_read(prefix: Prefix) -> None:
    done = _verify(prefix)
    assert done.exit_code == 0
    assert done.stderr.startswith("verified g00000, g00001: 0 environments and toolkits")
    assert done.stdout == ""


def test_a_difference_is_exit_code_1(prefix: Prefix) -> None:
    (prefix.generation("g00001") / "stray").touch()
    done = _verify(prefix)
    assert done.exit_code == 1
    assert "stray" in done.stdout
    assert _verify(prefix, "--gen", "0").exit_code == 0


def test_a_document_has_all_that_was_found(prefix: Prefix) -> None:
    (prefix.generation("g00001") / "stray").touch()
    document = json.loads(_verify(prefix, "--json").stdout)
    assert document["generations"] == ["g00000", "g00001"]
    assert [finding["path"] for finding in document["findings"]] == ["stray"]
    assert document["failures"] == {}


def test_a_repair_gets_the_settings_and_its_failures_are_shown(
    prefix: Prefix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = Finding("monobase/g00001/python3.11", "lib/x.py", "missing")

    def repair(
        _: Prefix,
        __: object,
        uv: Path,
        names: list[str],
        options: InstallOptions,
        ___: object,
        *,
        stores: bool,
    ) -> RepairResult:
        assert (uv, names, stores) == (Path("uv"), ["g00001"], False)
        assert (options.jobs, options.lock_timeout_s, options.selection) == (3, 7.0, EVERYTHING)
        return RepairResult(findings=[left], failures={"lib/x.py": IndexAccessError("lost")})

    monkeypatch.setattr(verify_command, "repair", repair)
    monkeypatch.setattr(verify_command, "find_uv", lambda _: Path("uv"))
    gens = write_catalog(tmp_path / "gens", {1: [environment_cell([])]})
    done = _verify(prefix, "--repair", "--gen=1", "--json", "--jobs=3", "--lock-timeout=7", f"--gens={gens}")
    assert done.exit_code == 1
    assert json.loads(done.stdout)["failures"] == {"lib/x.py": "lost"}
    assert "the rest could not be restored" in done.stderr
