"""`evict` on the command line."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from daemon.cli import evict as evict_command
from daemon.cli.main import main
from daemon.prefix.disk_budget import BudgetUse
from daemon.upkeep.eviction import Room
from daemon.upkeep.eviction_plan import Evicted, EvictionPlan
from tests.synthetic.catalog import environment_cell, write_catalog

_GONE = Evicted("g00002", "python3.11", last_use_s=0, freed_bytes=1_500, was_leased=False)


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
    installed = "installed at 1970-01-01 00:00 UTC, not leased since"
    assert gone == f"would go: g00002/python3.11, {installed}; frees 1.5 kB"
    assert total == "would go: 1 environment, which frees 1.5 kB; 6.0 kB of 5.0 kB were in use"
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


@pytest.mark.parametrize("arguments", [[], ["--dry-run"]])
def test_on_a_prefix_that_is_not_there_nothing_has_to_go_as_with_prune(
    tmp_path: Path, arguments: list[str]
) -> None:
    done = _evict(tmp_path, *arguments)
    assert done.exit_code == 0
    assert done.stderr == f"nothing has to go: there is no prefix at {tmp_path / 'prefix'}\n"
    assert not (tmp_path / "prefix").exists()


@pytest.mark.parametrize("arguments", [[], ["--dry-run"]])
def test_where_nothing_has_to_go_it_says_so_and_machines_get_the_figures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    (tmp_path / "prefix").mkdir()
    room = Room(BudgetUse(5_000, 3_000, 9_000), 1_500, EvictionPlan(0))
    monkeypatch.setattr(evict_command, "plan_room", lambda *_: room)
    monkeypatch.setattr(evict_command, "make_room", lambda *_, **__: room)
    said = "nothing has to go: 3.0 kB of 5.0 kB were in use, 1.5 kB are needed"
    assert _evict(tmp_path, *arguments).stderr == f"{said}\n"
    entry = json.loads(_evict(tmp_path, "--log-format=json", *arguments).stderr)
    assert entry.pop("time")
    assert entry == {
        "level": "info", "message": said, "environments": [], "freed_bytes": 0, "unused_bytes": 0,
        "used_bytes": 3_000, "budget_bytes": 5_000, "needed_bytes": 1_500,
    }  # fmt: skip


def test_of_several_plans_all_that_went_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "prefix").mkdir()
    other = Evicted("g00002", "other", 60, 500, was_leased=True)
    plan = EvictionPlan(400, [other], freed_bytes=500, reclaimed_bytes=100)
    room = Room(BudgetUse(5_000, 6_000, 9_000), 0, plan, (_GONE, other), 2_000)
    monkeypatch.setattr(evict_command, "make_room", lambda *_, **__: room)
    _, leased, total = _evict(tmp_path).stderr.splitlines()
    assert leased == "gone: g00002/other, leased last at 1970-01-01 00:01 UTC; frees 500 bytes"
    assert total == (
        "gone: 2 environments, which frees 2.0 kB, of which nothing uses 100 bytes even now; "
        "6.0 kB of 5.0 kB were in use"
    )
