"""Draws the picture of the benchmark: the wall time and the bytes of each case, at each bandwidth."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.bench.cold_start.measurement import Case

# Monobase's own cases; all others are what people do without it.
_OURS = ("b", "c", "c2", "d")
_OUR_COLOUR, _OTHER_COLOUR = "#1f6feb", "#9aa4ad"


def draw(cases: Sequence[Case], title: str, path: Path) -> None:
    """Write the picture as SVG, the same bytes for the same figures."""
    mpl.rcParams["svg.hashsalt"] = "monobase"
    mpl.rcParams["svg.fonttype"] = "none"
    bandwidths = sorted({case.gbit_per_s for case in cases})
    count = max(sum(case.gbit_per_s == bandwidth for case in cases) for bandwidth in bandwidths)
    figure = Figure(figsize=(11, 1.2 + len(bandwidths) * (0.5 + 0.34 * count)), layout="constrained")
    figure.suptitle(title, fontsize=11)
    axes = figure.subplots(len(bandwidths), 2, squeeze=False, width_ratios=(1.2, 1))
    for bandwidth, (left, right) in zip(bandwidths, axes, strict=True):
        chosen = [case for case in cases if case.gbit_per_s == bandwidth][::-1]
        names = [f"{case.what} ({case.key})" for case in chosen]
        _bars(left, chosen, names, [case.wall_s for case in chosen], "s")
        left.set_title(f"{bandwidth:g} Gbit/s: to `import torch` done, seconds", fontsize=9)
        _bars(right, chosen, [""] * len(chosen), [case.wire_bytes / 1e6 for case in chosen], "MB")
        right.set_title("over the wire, MB", fontsize=9)
    figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def _bars(
    axes: Axes, cases: Sequence[Case], names: Sequence[str], values: Sequence[float], unit: str
) -> None:
    colours = [_OUR_COLOUR if case.key in _OURS else _OTHER_COLOUR for case in cases]
    places = range(len(cases))
    bars = axes.barh(places, values, color=colours, height=0.7)
    axes.bar_label(bars, [f" {value:,.1f} {unit}" for value in values], fontsize=8)
    axes.set_yticks(places, names, fontsize=8)
    axes.tick_params(axis="x", labelsize=8)
    axes.set_xlim(0, max([*values, 1e-9]) * 1.2)
    axes.spines[["top", "right"]].set_visible(False)
