"""Tests that the page of figures names commands, judges its figures rightly, and is what the README quotes.

`//tools/lint:links` checks that the targets of these commands exist, as for each document.
"""

import re
from pathlib import Path

import pytest

_FOLDER = Path(__file__).parent
_PAGE = (_FOLDER / "benchmarks.md").read_text(encoding="utf-8")
_README = (_FOLDER.parent / "README.md").read_text(encoding="utf-8")
_HEAD = "| measure | reached | target | command | date, machine |"
_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]+)?")
_LABEL = re.compile(r"//[\w/-]+:[\w.-]+")
_NOT_YET = "not measured"


def rows(text: str) -> list[str]:
    """Return the rows of the table of figures."""
    _, head, rest = text.partition(f"{_HEAD}\n")
    assert head, f"there is no table with the head {_HEAD}"
    return [line for line in rest.partition("\n\n")[0].splitlines() if not line.startswith("|---")]


def cells(row: str) -> list[str]:
    """Return the cells of a row."""
    return [cell.strip() for cell in row.strip("|").split("|")]


ROWS = rows(_PAGE)


def test_the_table_has_the_figures_of_the_project() -> None:
    assert len(ROWS) >= 10
    assert all(len(cells(row)) == 5 for row in ROWS)


@pytest.mark.parametrize("row", ROWS)
def test_a_row_names_the_target_that_measures_it(row: str) -> None:
    assert _LABEL.search(cells(row)[3])


@pytest.mark.parametrize("row", ROWS)
def test_a_row_says_whether_the_target_is_reached(row: str) -> None:
    _, reached, target, _, date = cells(row)
    if reached.startswith(_NOT_YET):
        return
    assert re.match(r"[0-9]{4}-[0-9]{2}-[0-9]{2}, ", date)
    if not target.startswith("≤ "):
        return
    figures, limit = _NUMBER.findall(reached), _NUMBER.findall(target)
    assert figures
    missed = float(figures[0]) > float(limit[0])
    assert ("**not reached**" in reached) == missed


def test_the_readme_quotes_three_rows_of_the_page() -> None:
    quoted = rows(_README)
    assert len(quoted) == 3
    assert set(quoted) <= set(ROWS)
