"""`prune` on the command line."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from daemon.cli import prune as prune_command
from daemon.cli.main import main
from daemon.upkeep.prune_plan import PrunePlan, PruneRules
from gens.selection import Selection
from tests.synthetic.catalog import environment_cell, write_catalog

_PLAN = PrunePlan(generations=["g00000"], freed_bytes=1_500, kept={"g00001": "a model uses it"})


def _prune(tmp_path: Path, *arguments: str) -> Result:
    gens = write_catalog(tmp_path / "gens", {2: [environment_cell([])]})
    command = ["prune", "--min-gen-id=2", f"--prefix={tmp_path / 'prefix'}", f"--gens={gens}", *arguments]
    return CliRunner().invoke(main, command)


def test_a_dry_run_writes_nothing_and_says_what_would_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("daemon.upkeep.prune_plan.plan_prune", lambda *_: _PLAN)
    done = _prune(tmp_path, "--dry-run")
    assert done.exit_code == 0
    kept, gone = done.stderr.splitlines()
    assert kept == "g00001 stays: a model uses it"
    assert gone.startswith("would go generations g00000, ")
    assert gone.endswith("1.5 kB freed")
    assert not (tmp_path / "prefix").exists()


def test_what_went_and_what_could_not_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    received: list[object] = []

    def prune(*arguments: object) -> PrunePlan:
        received.extend([arguments[2], arguments[3], arguments[5]])
        return PrunePlan(generations=["g00000"], incomplete="bytecode of g00009 is kept")

    monkeypatch.setattr("daemon.upkeep.prune.prune", prune)
    monkeypatch.setattr(prune_command, "find_uv", lambda _: Path("uv"))
    done = _prune(tmp_path, "--lock-timeout=3", "--max-gen-id=4", "--only=a*", "--prune-unselected")
    assert done.exit_code == 0
    assert received == [Path("uv"), PruneRules(2, 4, Selection(("a*",)), unselected=True), 3.0]
    assert "warning: bytecode of g00009 is kept" in done.stderr
    assert "gone generations g00000" in done.stderr
