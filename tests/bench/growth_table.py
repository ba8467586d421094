"""Shows how measures grow: a table with the exponents, and a picture with a line for each measure."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from rich import box
from rich.box import Box
from rich.table import Table

from tests.bench.growth_fit import Fit, fit_growth
from tests.bench.growth_measure import MEASURES, Measure

_COLUMNS = 4
_PANEL_INCHES = (3.4, 2.7)


@dataclass(frozen=True, slots=True)
class Axis:
    """One way to grow, with the measures at each size.

    Attributes:
        title: What grows.
        values: The measures by size.
    """

    title: str
    values: dict[int, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Growth:
    """All that was measured.

    Attributes:
        base: The measures of the smallest node: one environment of one generation.
        axes: The ways to grow.
    """

    base: dict[str, float]
    axes: tuple[Axis, ...]

    def fit(self, axis: Axis, measure: Measure) -> Fit:
        """Return how a measure grows along an axis."""
        values = {size: found[measure.key] for size, found in axis.values.items()}
        return fit_growth(values, self.base[measure.key])

    def excesses(self) -> list[str]:
        """Return a line for each measure that grows faster than n log n."""
        return [
            f"{measure.title}: exponent {fit.exponent:.2f} over {axis.title}, more than {fit.limit:.2f}"
            for axis in self.axes
            for measure in MEASURES
            if not (fit := self.fit(axis, measure)).is_within
        ]


def growth_table(growth: Growth, axis: Axis, lines: Box = box.HEAVY_HEAD) -> Table:
    """Return the table of an axis: a row for each measure, a column for each size.

    Times are those of the processor, wall-clock times stand in brackets: other work on the machine changes
    these threefold, and the first ones little.

    Args:
        growth: What was measured.
        axis: The axis.
        lines: The lines of the table.
    """
    table = Table(
        "measure", "base", *(f"{size:,}" for size in axis.values), "exponent", "≤ n log n", box=lines
    )
    table.title, table.title_justify = axis.title, "left"
    for column in table.columns[1:]:
        column.justify = "right"
    for measure in MEASURES:
        fit = growth.fit(axis, measure)
        table.add_row(
            f"{measure.title}, {measure.unit}",
            measure.shown(growth.base),
            *(measure.shown(found) for found in axis.values.values()),
            "flat" if fit.exponent is None else f"{fit.exponent:.2f}",
            "yes" if fit.is_within else f"NO: {fit.limit:.2f}",
        )
    return table


def draw(growth: Growth, path: Path) -> None:
    """Draw each measure over the sizes of all axes, beside the straight line through its largest value.

    Args:
        growth: What was measured.
        path: The SVG file.
    """
    rows = -(-len(MEASURES) // _COLUMNS)
    figure = Figure((_PANEL_INCHES[0] * _COLUMNS, _PANEL_INCHES[1] * rows))
    figure.subplots_adjust(left=0.06, right=0.99, bottom=0.04, top=0.98, wspace=0.3, hspace=0.42)
    panels: Sequence[Axes] = figure.subplots(rows, _COLUMNS).flat
    for panel, measure in zip(panels, MEASURES, strict=False):
        _panel(panel, growth, measure)
    for panel in list(panels)[len(MEASURES) :]:
        panel.set_axis_off()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "growth"}):  # text as text; the same bytes again
        figure.savefig(path, format="svg", metadata={"Date": None})


def _panel(panel: Axes, growth: Growth, measure: Measure) -> None:
    scale = 1 if measure.unit == "s" else 1e6
    for axis, colour in zip(growth.axes, ("C0", "C1"), strict=False):
        sizes = [*axis.values]
        values = [found[measure.key] / scale for found in axis.values.values()]
        panel.loglog(sizes, values, "o-", color=colour, label=axis.title)
        line = [values[-1] * size / sizes[-1] for size in sizes]
        panel.loglog(sizes, line, ":", color=colour, linewidth=0.8)
    panel.axhline(growth.base[measure.key] / scale, color="0.7", linewidth=0.8)
    panel.set_title(measure.title, fontsize=8)
    panel.set_xlabel("environments, or generations", fontsize=7)
    panel.set_ylabel(measure.unit, fontsize=8)
    panel.tick_params(labelsize=7)
    panel.minorticks_off()  # nine tenths of the file
    panel.legend(fontsize=6, frameon=False)
