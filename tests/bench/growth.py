"""`bazel run //tests/bench:growth`: what the daemon's work costs on nodes of growing size.

The real daemon installs nodes with more and more environments, and with more and more generations, from an
index on loopback. On each, all is measured that a node does: install, the service's start, rounds and
answers, `ready`, `status`, `verify`, `prune`, memory and disk. The exponent of each measure says how it
grows. The exit code is 1 if one grows faster than n log n.
"""

import json
import os
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

import click
from rich import box
from rich.console import Console

from tests.bench.growth_measure import measure
from tests.bench.growth_node import GrowthNode, Scale, Size
from tests.bench.growth_table import Axis, Growth, draw, growth_table
from tests.index.server import LocalIndex

_SMALL = ((10, 30, 100), (1, 5, 20), 4)
_LARGE = ((10, 100, 1000), (1, 10, 50), 10)
_FIRST = Size(1, 1)


@click.command()
@click.option("--large", is_flag=True, help="10 to 1,000 environments, 1 to 50 generations: takes an hour.")
@click.option("--wheels", default=6, show_default=True, help="Wheels that all environments share.")
@click.option("--modules", default=4, show_default=True, help="Modules of each wheel.")
@click.option("--markdown", is_flag=True, help="Print the tables as Markdown.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="File for the figures.")
@click.option("--picture", type=click.Path(path_type=Path), help="SVG file for the picture.")
@click.option(
    "--directory", type=click.Path(path_type=Path), help="Where to work; needs hard links and room."
)
def main(
    *,
    large: bool,
    wheels: int,
    modules: int,
    markdown: bool,
    json_file: Path | None,
    picture: Path | None,
    directory: Path | None,
) -> None:
    """Measure how the work of the daemon grows."""
    environments, generations, each = _LARGE if large else _SMALL
    with tempfile.TemporaryDirectory(prefix="monobase-bench-", dir=directory) as folder:
        bench = _Bench(Path(folder), Scale(wheels, modules))
        growth = Growth(
            bench.measure(_FIRST),
            (
                Axis(
                    "environments of one generation",
                    {size: bench.measure(Size(1, size)) for size in environments},
                ),
                Axis(
                    f"generations of {each} environments each",
                    {size: bench.measure(Size(size, each)) for size in generations},
                ),
            ),
        )
    console = Console(width=130)
    for axis in growth.axes:
        console.print(growth_table(growth, axis, box.MARKDOWN if markdown else box.HEAVY_HEAD))
    here = Path(os.environ.get("BUILD_WORKING_DIRECTORY", "."))  # where `bazel run` was called
    if json_file is not None:
        (here / json_file).write_text(json.dumps(asdict(growth), indent=2) + "\n")
    if picture is not None:
        draw(growth, here / picture)
    if excesses := growth.excesses():
        click.echo("faster than n log n:\n" + "\n".join(excesses), err=True)
        sys.exit(1)


class _Bench:
    """Measures each size once."""

    def __init__(self, directory: Path, scale: Scale) -> None:
        self._directory = directory
        self._scale = scale
        self._found: dict[Size, dict[str, float]] = {}

    def measure(self, size: Size) -> dict[str, float]:
        if size not in self._found:
            began_s = time.monotonic()
            folder = self._directory / f"{size.generations}-{size.environments}"
            with LocalIndex(folder / "index") as index:
                node = GrowthNode(folder / "node", index, size, self._scale)
                node.define()
                self._found[size] = measure(node)
                node.remove()
            took_s = time.monotonic() - began_s
            click.echo(f"{size}: measured in {took_s:.0f} s, load {os.getloadavg()[0]:.1f}", err=True)
        return self._found[size]


if __name__ == "__main__":
    main()
