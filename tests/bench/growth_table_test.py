import io
import re
from pathlib import Path

from rich.console import Console

from tests.bench.growth_measure import MEASURES
from tests.bench.growth_table import Axis, Growth, draw, growth_table

KEYS = {key for measure in MEASURES for key in (measure.key, measure.wall_key)}
BASE = dict.fromkeys(KEYS, 1.0)


def growth(**squares: float) -> Growth:
    """Return measures that grow in a line, but for those that are named."""
    values = {size: {key: 1.0 + size ** squares.get(key, 1.0) for key in KEYS} for size in (10, 100, 1000)}
    return Growth(BASE, (Axis("environments", values), Axis("generations", values)))


def test_lines_exceed_nothing() -> None:
    assert growth().excesses() == []


def test_a_square_is_named_for_each_axis() -> None:
    found = growth(verify_cpu_s=2.0).excesses()
    assert len(found) == 2
    assert all(line.startswith("verify: exponent 2.00 over ") for line in found)


def test_the_table_has_each_measure_with_its_exponent() -> None:
    found = growth(verify_cpu_s=2.0)
    out = io.StringIO()
    Console(file=out, width=200).print(growth_table(found, found.axes[0]))
    lines = {line.split("│")[1].strip(): line for line in out.getvalue().splitlines() if line.count("│") > 3}
    assert set(lines) == {f"{measure.title}, {measure.unit}" for measure in MEASURES}
    assert "NO" in lines["verify, s"]
    assert "yes" in lines["status, s"]


def test_the_picture_names_each_measure(tmp_path: Path) -> None:
    draw(growth(), tmp_path / "growth.svg")
    shown = set(re.findall(r"<text [^>]*>([^<]+)</text>", (tmp_path / "growth.svg").read_text()))
    assert {measure.title for measure in MEASURES} <= shown
