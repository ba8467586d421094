import json
from pathlib import Path

from tests.code_coverage.figures import Bounds, Figure, as_table, below_bounds, by_package, read_modules


def figure(name: str, run: int, branches_run: int = 0, branches: int = 0) -> Figure:
    return Figure(
        name, modules=1, statements=10, statements_run=run, branches=branches, branches_run=branches_run
    )


def test_a_report_gives_the_figure_of_each_module_by_its_path(tmp_path: Path) -> None:
    summary = {"num_statements": 10, "covered_lines": 7, "num_branches": 4, "covered_branches": 1}
    report = tmp_path / "coverage.json"
    report.write_text(json.dumps({"files": {str(tmp_path / "tree/daemon/plan.py"): {"summary": summary}}}))
    assert read_modules(report, tmp_path / "tree") == [Figure("daemon/plan.py", 1, 10, 7, 4, 1)]


def test_a_percentage_counts_statements_and_branches_alike() -> None:
    assert figure("a.py", run=9, branches=10, branches_run=3).percent == 60
    assert figure("a.py", run=9, branches=10, branches_run=3).branch_percent == 30


def test_a_module_without_code_is_covered() -> None:
    empty = Figure("a/__init__.py", 1, 0, 0, 0, 0)
    assert (empty.percent, empty.branch_percent) == (100, 100)


def test_modules_add_up_by_their_folder_alone() -> None:
    found = by_package([figure("a/x.py", 1), figure("a/b/y.py", 2), figure("a/z.py", 4)])
    assert [(one.name, one.modules, one.statements, one.statements_run) for one in found] == [
        ("a", 2, 20, 5),
        ("a/b", 1, 10, 2),
    ]


def test_bounds_that_are_just_kept_are_kept() -> None:
    assert below_bounds([figure("a", 9), figure("b", 9)], Bounds(90, 90)) == []


def test_a_package_below_its_bound_is_named_though_the_total_is_kept() -> None:
    assert below_bounds([figure("a", 10), figure("b", 8)], Bounds(90, 85)) == [
        "b: 80.0 % is below the bound of 85 %"
    ]


def test_a_total_below_its_bound_is_named_though_every_package_keeps_its_own() -> None:
    assert below_bounds([figure("a", 9), figure("b", 8)], Bounds(90, 80)) == [
        "all packages: 85.0 % is below the bound of 90 %"
    ]


def test_a_table_ends_with_the_sum() -> None:
    table = as_table([figure("a", 9, branches=4, branches_run=1), figure("b", 10)])
    assert [line.split() for line in table.splitlines()[1:]] == [
        ["a", "1", "10", "1", "4", "3", "25.0", "71.4"],
        ["b", "1", "10", "0", "0", "0", "100.0", "100.0"],
        ["total", "2", "20", "1", "4", "3", "25.0", "83.3"],
    ]
