"""Tests of the picture."""

from pathlib import Path

from tests.bench.cold_start.measurement import Case, Sample
from tests.bench.cold_start.picture import draw

_CASES = [
    Case(key, f"what {key} is", gbit_per_s, (Sample(seconds, 1_000_000, 1),))
    for gbit_per_s, key, seconds in ((1, "a", 61.5), (1, "b", 30.25), (10, "a", 45.75))
]


def test_the_picture_names_each_case_with_its_seconds(tmp_path: Path) -> None:
    draw(_CASES, "a title", tmp_path / "picture.svg")
    text = (tmp_path / "picture.svg").read_text()
    for expected in ("what a is (a)", "what b is (b)", "61.5 s", "45.8 s", "10 Gbit/s", "a title"):
        assert expected in text


def test_the_same_figures_are_the_same_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        draw(_CASES, "a title", tmp_path / name)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()
