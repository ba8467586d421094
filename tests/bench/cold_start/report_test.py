"""Tests of the report."""

import json

from tests.bench.cold_start.measurement import Case, Sample
from tests.bench.cold_start.report import HEAD, json_of, markdown_of, ratios_of, table_of


def case(key: str, wall_s: float, wire_bytes: int, gbit_per_s: float = 1) -> Case:
    samples = tuple(Sample(wall_s + more, wire_bytes, 5_000_000, "pull 1.0") for more in (0, -0.5, 90))
    return Case(key, f"what {key} is", gbit_per_s, samples)


def test_the_median_of_the_rounds_counts() -> None:
    found = case("a", 10, 250_000_000)
    assert (found.wall_s, found.wire_bytes, found.line_s) == (10, 250_000_000, 2.0)


def test_a_row_has_the_figures_with_their_units() -> None:
    assert table_of([case("a", 10, 250_000_000)]) == [
        ("a", "what a is", "1", "10.0 s", "250.0 MB", "2.0 s", "5.000 MB", "pull 1.0")
    ]


def test_ratios_compare_cases_of_one_bandwidth_only() -> None:
    cases = [case("a", 100, 1000), case("c", 5, 10), case("a", 50, 1000, 10), case("c", 10, 5, 10)]
    assert [(ratio.measure, ratio.value, ratio.verdict) for ratio in ratios_of(cases)] == [
        ("(c) / (a), wall at 1 Gbit/s", 0.05, "reached"),
        ("(c) / (a), bytes at 1 Gbit/s", 0.01, "reached"),
        ("(c) / (a), wall at 10 Gbit/s", 0.2, "NOT REACHED"),
        ("(c) / (a), bytes at 10 Gbit/s", 0.005, "reached"),
    ]


def test_what_was_not_measured_is_not_compared() -> None:
    assert ratios_of([case("c", 5, 10)]) == []


def test_the_markdown_has_a_line_for_each_row() -> None:
    lines = markdown_of(HEAD, table_of([case("a", 10, 1), case("b", 20, 2)])).splitlines()
    assert len(lines) == 4
    assert {line.count("|") for line in lines} == {len(HEAD) + 1}


def test_the_json_has_every_round() -> None:
    found = json.loads(json_of([case("a", 10, 250)], {"date": "2026-11-26"}))
    assert found["date"] == "2026-11-26"
    assert [sample["wall_s"] for sample in found["cases"][0]["samples"]] == [10, 9.5, 100]
