"""The report of the model: tables, targets, JSON and the picture."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.bench.fleet.assumptions import Assumptions, Way
from tests.bench.fleet.fleet import fault_cases, main, wave_rows
from tests.bench.fleet.model import run_model
from tests.bench.fleet.outcome import Outcome
from tests.bench.fleet.picture import draw
from tests.bench.fleet.report import Target, duration, json_of, rows_of, targets_of

SMALL = Assumptions(nodes=20, size_bytes=2e9, pieces=64, wheels=16)


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    return [run_model(way, replace(SMALL, nodes=nodes)) for way in Way for nodes in (1, 20)]


def test_a_row_compares_a_fleet_with_one_node_of_the_same_way(outcomes: list[Outcome]) -> None:
    rows = rows_of(outcomes)
    assert [row[3] for row in rows if row[1] == "1"] == ["1.00"] * 4
    assert [row[0] for row in rows] == [way.value for way in Way for _ in range(2)]
    assert rows_of([outcomes[1]])[0][3] == "-"


def test_the_registry_was_filled_by_one_copy_before(outcomes: list[Outcome]) -> None:
    rows = {row[0]: row for row in rows_of(outcomes) if row[1] == "20"}
    assert rows["registry"][4:6] == ("1.00", "registry: 20.0")
    assert rows["each node for itself"][4:6] == ("20.00", "-")


def test_targets_are_of_the_largest_fleet_of_peers(outcomes: list[Outcome]) -> None:
    copies, time = targets_of(outcomes)
    assert (copies.measure, copies.value, copies.limit) == ("origin copies, 20 nodes", 1.0, 3.2)
    assert (time.measure, time.limit) == ("time of 20 nodes / of one", 2.0)
    assert targets_of(outcomes[:2]) == []
    assert [Target("", value, 2.0).verdict for value in (2.0, 2.1)] == ["reached", "NOT REACHED"]


def test_the_json_says_that_it_is_a_models(outcomes: list[Outcome]) -> None:
    found = json.loads(json_of(outcomes))
    assert found["source"].startswith("model")
    assert [each["way"] for each in found["outcomes"][::2]] == ["alone", "registry", "cache", "p2p"]
    assert found["outcomes"][0]["assumptions"]["size_bytes"] == 2e9


def test_the_picture_says_that_it_is_a_models_and_is_the_same_again(
    tmp_path: Path, outcomes: list[Outcome]
) -> None:
    for name in ("a.svg", "b.svg"):
        draw(outcomes, tmp_path / name)
    text = (tmp_path / "a.svg").read_text()
    assert text == (tmp_path / "b.svg").read_text()
    assert "A model, not a measurement" in text
    assert all(way.value in text for way in Way)


@pytest.mark.parametrize(
    ("seconds", "text"), [(282, "282 s"), (3600, "60 min"), (63670, "17.7 h"), (3.02e6, "35.0 days")]
)
def test_a_duration_has_the_unit_that_people_use(seconds: float, text: str) -> None:
    assert duration(seconds) == text


def test_each_case_of_faults_has_a_name_of_its_own_and_differs() -> None:
    cases = fault_cases(SMALL)
    assert len({name for name, _, _ in cases}) == len(cases)
    assert len({repr(assumptions) for _, _, assumptions in cases}) == len(cases)


def test_a_rollout_takes_fewer_turns_with_more_nodes_at_a_time() -> None:
    turns = [int(row[1]) for row in wave_rows(SMALL)]
    assert turns[0] == 20
    assert turns[-1] == 1
    assert turns == sorted(turns, reverse=True)


def test_files_go_where_bazel_run_was_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "docs").mkdir()
    monkeypatch.setenv("BUILD_WORKING_DIRECTORY", str(tmp_path))
    done = CliRunner().invoke(main, ["--nodes", "1", "--svg", "docs/a.svg", "--json", "a.json"])
    assert done.exit_code == 0, done.output
    assert {path.name for path in tmp_path.rglob("a.*")} == {"a.svg", "a.json"}
