"""Draws the picture of the model: time and origin copies against nodes, for each way."""

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from tests.bench.fleet.assumptions import Way
from tests.bench.fleet.outcome import Outcome
from tests.bench.fleet.report import origin_copies

_COLOURS = {Way.ALONE: "#9aa4ad", Way.REGISTRY: "#8250df", Way.CACHE: "#bf8700", Way.P2P: "#1f6feb"}
_MARKS = {Way.ALONE: "o", Way.REGISTRY: "s", Way.CACHE: "x", Way.P2P: "D"}


def draw(outcomes: Sequence[Outcome], path: Path) -> None:
    """Write the picture as SVG, the same bytes for the same figures."""
    figure = Figure(figsize=(11, 4.2), layout="constrained")
    figure.suptitle("A model, not a measurement: all nodes begin at once", fontsize=11)
    left, right = figure.subplots(1, 2)
    _lines(left, outcomes, lambda outcome: outcome.seconds / 60)
    left.set_ylabel("minutes until all nodes are ready", fontsize=9)
    _lines(right, outcomes, origin_copies)
    right.set_ylabel("copies of all wheels from the origin", fontsize=9)
    left.legend(fontsize=9)
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "fleet"}):  # text as text; the same bytes again
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def _lines(axes: Axes, outcomes: Sequence[Outcome], value: Callable[[Outcome], float]) -> None:
    for way in Way:
        chosen = sorted(
            (each for each in outcomes if each.way is way), key=lambda each: each.assumptions.nodes
        )
        axes.plot(
            [each.assumptions.nodes for each in chosen], [value(each) for each in chosen],
            color=_COLOURS[way], marker=_MARKS[way], label=way.value, markersize=5,
            linestyle="--" if way is Way.CACHE else "-",
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_xlabel("nodes", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(True, which="major", color="#e6e6e6")
    axes.spines[["top", "right"]].set_visible(False)
