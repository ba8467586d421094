"""Tests that the pages on decisions have one form and are all listed."""

import re
from pathlib import Path

import pytest

_FOLDER = Path(__file__).parent / "decisions"
_PAGES = sorted(page for page in _FOLDER.glob("*.md") if page.name != "README.md")
_HEADINGS = ["Context", "Decision", "Consequences", "What would change our mind"]


def test_there_are_pages() -> None:
    assert len(_PAGES) >= 6


@pytest.mark.parametrize("page", _PAGES, ids=lambda page: page.stem)
def test_a_page_has_the_four_headings_and_at_most_sixty_lines(page: Path) -> None:
    lines = page.read_text(encoding="utf-8").splitlines()

    assert [line.removeprefix("## ") for line in lines if line.startswith("## ")] == _HEADINGS
    assert len(lines) <= 60


def test_the_index_lists_each_page_once() -> None:
    listed = re.findall(
        r"^\| \[[^]]*\]\(([^)]*)\)", (_FOLDER / "README.md").read_text(encoding="utf-8"), re.MULTILINE
    )

    assert sorted(listed) == [page.name for page in _PAGES]
