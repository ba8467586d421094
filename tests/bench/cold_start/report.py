"""The report of the benchmark: a table, its Markdown, and the comparisons that have a target."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from tests.bench.cold_start.measurement import Case


@dataclass(frozen=True, slots=True)
class Ratio:
    """A comparison of two figures of the same run.

    Attributes:
        measure: What is compared.
        value: The ratio.
        limit: What is to be reached, at most.
    """

    measure: str
    value: float
    limit: float

    @property
    def verdict(self) -> str:
        """The judgement in words."""
        return "reached" if self.value <= self.limit else "NOT REACHED"


HEAD = (
    "",
    "the node has, and does",
    "Gbit/s",
    "wall",
    "over the wire",
    "bytes ÷ bandwidth",
    "on the disk",
    "",
)


def table_of(cases: Sequence[Case]) -> list[tuple[str, ...]]:
    """Return the rows of the table, one a case."""
    return [
        (
            case.key,
            case.what,
            f"{case.gbit_per_s:g}",
            f"{case.wall_s:.1f} s",
            _megabytes(case.wire_bytes),
            f"{case.line_s:.1f} s",
            _megabytes(case.disk_bytes),
            case.samples[-1].detail,
        )
        for case in cases
    ]


def ratios_of(cases: Sequence[Case]) -> list[Ratio]:
    """Return the comparisons that have a target, for each bandwidth."""
    found = []
    for gbit_per_s in sorted({case.gbit_per_s for case in cases}):
        by_key = {case.key: case for case in cases if case.gbit_per_s == gbit_per_s}
        at = f"at {gbit_per_s:g} Gbit/s"
        if "b" in by_key:
            ours = by_key["b"]
            found.append(Ratio(f"(b) wall / (bytes ÷ bandwidth) {at}", ours.wall_s / ours.line_s, 1.1))
        if "a" not in by_key:
            continue
        whole = by_key["a"]
        for key in ("c", "c2"):
            if key in by_key:
                ours = by_key[key]
                found.append(Ratio(f"({key}) / (a), wall {at}", ours.wall_s / whole.wall_s, 0.1))
                found.append(Ratio(f"({key}) / (a), bytes {at}", ours.wire_bytes / whole.wire_bytes, 0.01))
    return found


def markdown_of(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [_line(head), _line(["---"] * len(head)), *(_line(row) for row in rows)]
    return "\n".join(lines)


def json_of(cases: Sequence[Case], facts: Mapping[str, object]) -> str:
    """Return all figures as JSON, which the picture is drawn from."""
    return json.dumps({**facts, "cases": [asdict(case) for case in cases]}, indent=2) + "\n"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.{1 if size_bytes >= 1e7 else 3}f} MB"
