"""Draws the picture of the model: time and origin copies against nodes, for each way."""

from collections.abc import Callable, Sequence
from pathlib import Path

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedFormatter, FixedLocator, NullLocator, StrMethodFormatter

from tests.bench.fleet.assumptions import Way
from tests.bench.fleet.outcome import Outcome
from tests.bench.fleet.report import origin_copies

_COLOURS = {Way.ALONE: "#57606a", Way.REGISTRY: "#8250df", Way.CACHE: "#bf8700", Way.P2P: "#1f6feb"}
_MARKS = {Way.ALONE: "o", Way.REGISTRY: "s", Way.CACHE: "x", Way.P2P: "D"}
# A way whose line lies on that of another one is dashed, so that both are seen.
_LINES = {Way.ALONE: "-", Way.REGISTRY: "-", Way.CACHE: (0, (4, 4)), Way.P2P: (0, (4, 4))}
_DURATIONS = {
    "1 min": 60, "5 min": 300, "10 min": 600, "30 min": 1_800, "1 h": 3_600, "3 h": 10_800, "12 h": 43_200,
    "1 day": 86_400, "3 days": 259_200, "10 days": 864_000, "30 days": 2_592_000, "100 days": 8_640_000,
}  # fmt: skip


def draw(outcomes: Sequence[Outcome], path: Path) -> None:
    """Write the picture as SVG, the same bytes for the same figures."""
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    figure.suptitle(f"A model, not a measurement: all nodes begin at once{_size(outcomes)}", fontsize=11)
    left, right = figure.subplots(1, 2)
    _lines(left, outcomes, lambda outcome: outcome.seconds)
    left.yaxis.set_major_locator(FixedLocator([*_DURATIONS.values()]))
    left.yaxis.set_major_formatter(FixedFormatter([*_DURATIONS]))
    left.yaxis.set_minor_locator(NullLocator())
    left.set_ylabel("time until all nodes are ready", fontsize=9)
    _lines(right, outcomes, origin_copies)
    right.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    right.set_ylabel("copies of all wheels that leave the origin", fontsize=9)
    left.legend(fontsize=9, loc="upper left", frameon=False)
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "fleet"}):  # text as text; the same bytes again
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def _size(outcomes: Sequence[Outcome]) -> str:
    sizes = {outcome.assumptions.size_bytes for outcome in outcomes}
    return "".join(f", {size_bytes / 1e9:g} GB of wheels for each" for size_bytes in sizes) if sizes else ""


def _lines(axes: Axes, outcomes: Sequence[Outcome], value: Callable[[Outcome], float]) -> None:
    for way in Way:
        chosen = sorted(
            (each for each in outcomes if each.way is way), key=lambda each: each.assumptions.nodes
        )
        axes.plot(
            [each.assumptions.nodes for each in chosen], [value(each) for each in chosen],
            color=_COLOURS[way], marker=_MARKS[way], label=way.value, markersize=5,
            linestyle=_LINES[way],
        )  # fmt: skip
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_xlabel("nodes", fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(True, which="major", color="#e6e6e6")
    axes.spines[["top", "right"]].set_visible(False)
