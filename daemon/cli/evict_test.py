"""`evict` on the command line."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from daemon.cli import evict as evict_command
from daemon.cli.main import main
from daemon.prefix.disk_budget import BudgetUse
from daemon.upkeep.eviction import Room
from daemon.upkeep.eviction_plan import Evicted, EvictionPlan
from tests.synthetic.catalog import environment_cell, write_catalog

_GONE = Evicted("g00002", "python3.11", last_use_s=0, freed_bytes=1_500)


def _room(*, over_bytes: int) -> Room:
    plan = EvictionPlan(over_bytes, [_GONE], {"g00002/other": "a model leases it"}, freed_bytes=1_500)
    return Room(BudgetUse(5_000, 6_000, 9_000), 0, plan, (_GONE,), 1_500)


def _evict(tmp_path: Path, *arguments: str) -> Result:
    gens = write_catalog(tmp_path / "gens", {2: [environment_cell([])]})
    command = ["evict", "--disk-budget=5M", f"--prefix={tmp_path / 'prefix'}", f"--gens={gens}", *arguments]
    return CliRunner().invoke(main, command)


def test_a_dry_run_writes_nothing_and_says_what_would_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "prefix").mkdir()
    monkeypatch.setattr(evict_command, "plan_room", lambda *_: _room(over_bytes=1_000))
    done = _evict(tmp_path, "--dry-run")
    assert done.exit_code == 0
    kept, gone, total = done.stderr.splitlines()
    assert kept == "g00002/other stays: a model leases it"
    assert gone.startswith("would go: g00002/python3.11, used last at 1970-01-01 00:00 UTC")
    assert total.startswith("would go environments g00002/python3.11, 1.5 kB freed")
    assert list((tmp_path / "prefix").iterdir()) == []


def test_a_dry_run_of_what_is_not_enough_ends_as_the_eviction_would(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "prefix").mkdir()
    monkeypatch.setattr(evict_command, "plan_room", lambda *_: _room(over_bytes=2_000))
    done = _evict(tmp_path, "--dry-run")
    assert done.exit_code == 5
    assert "evicting all that may go would free 1,500" in done.stderr
    assert "what stays: g00002/other: a model leases it" in done.stderr


def test_what_went_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "prefix").mkdir()
    received: list[object] = []

    def make_room(*arguments: object, lock_timeout_s: float) -> Room:
        received.extend([arguments[3], lock_timeout_s])
        return _room(over_bytes=1_000)

    monkeypatch.setattr(evict_command, "make_room", make_room)
    done = _evict(tmp_path, "--lock-timeout=3")
    assert done.exit_code == 0
    assert received == [0, 3.0]
    assert "gone: g00002/python3.11" in done.stderr


def test_a_prefix_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = _evict(tmp_path)
    assert done.exit_code == 2
    assert f"--prefix {tmp_path / 'prefix'}: there is nothing to evict" in done.stderr
