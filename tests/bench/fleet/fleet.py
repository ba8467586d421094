"""`bazel run //tests/bench:fleet`: a model of an install on up to 10,000 nodes.

Prints how long it takes until all nodes are ready and how often the origin is read, for four ways: each node
for itself, a registry, a pull-through cache, peers. All figures are a model's: `assumptions.py` has what it
assumes, `docs/fleet.md` how far it agrees with real daemons (`//tests/bench/fleet:calibrate`).
"""

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click
from rich import box
from rich.console import Console
from rich.table import Table

from tests.bench.fleet.assumptions import Assumptions, Faults, Machine, Rollout, Swarm, Way
from tests.bench.fleet.model import run_model
from tests.bench.fleet.outcome import Outcome
from tests.bench.fleet.picture import draw
from tests.bench.fleet.report import (
    HEAD,
    assumption_rows,
    duration,
    json_of,
    markdown_of,
    rows_of,
    targets_of,
)
from tests.bench.fleet.waves import rollout_s, turns_of

_OUTPUT = click.Path(path_type=Path, dir_okay=False)
_FAST = Machine(unpack=5e9, disk=10e9)
_SHARES = (0.01, 0.05, 0.1, 0.25, 1.0)
_MIN_READY_S, _JITTER_S = 30.0, 60.0  # components/large-fleet
_COLUMNS = 200  # more than a table needs
_WAVE_HEAD = ("at a time", "turns", "registry: a turn", "all", "peer-to-peer: a turn", "all")


_FIGURES = {"ways": "time and copies of each way", "faults": "what faults cost peers, for the most nodes",
            "waves": "rollouts of a share of the most nodes at a time"}  # fmt: skip


@click.command()
@click.option(
    "--nodes", type=click.IntRange(1), multiple=True, default=(1, 10, 100, 1_000, 10_000), show_default=True,
    help="Sizes of the fleet; may be repeated. faults and waves take the largest.",
)  # fmt: skip
@click.option(
    "--figures", type=click.Choice(list(_FIGURES)), default="ways", show_default=True,
    help="; ".join(f"{name}: {text}" for name, text in _FIGURES.items()),
)  # fmt: skip
@click.option("--size-gb", type=float, default=31.8, show_default=True, help="Bytes of all wheels, in 10^9.")
@click.option("--seed", default=1, show_default=True, help="Of the random numbers.")
@click.option("--svg", type=_OUTPUT, help="With ways: write the picture.")
@click.option("--json", "json_path", type=_OUTPUT, help="With ways: write all figures.")
@click.option("--markdown", is_flag=True, help="Print tables in Markdown, with the assumptions.")
def main(
    nodes: tuple[int, ...], figures: str, size_gb: float, seed: int,
    svg: Path | None, json_path: Path | None, markdown: bool,
) -> None:  # fmt: skip
    """Run the model."""
    began_s = time.monotonic()
    here = Path(os.environ.get("BUILD_WORKING_DIRECTORY", "."))  # where `bazel run` was called
    base = Assumptions(nodes=max(nodes), size_bytes=size_gb * 1e9, seed=seed)
    console = Console(width=_COLUMNS, soft_wrap=True)  # rows of tables stay whole
    if figures == "faults":
        _show(console, ("case", *HEAD), _variants(fault_cases(base)), markdown)
    elif figures == "waves":
        _show(console, _WAVE_HEAD, wave_rows(base), markdown)
    else:
        outcomes = [run_model(way, replace(base, nodes=count)) for way in Way for count in sorted(nodes)]
        _show(console, HEAD, rows_of(outcomes), markdown)
        for target in targets_of(outcomes):
            console.print(f"{target.measure}: {target.value:.2f} ≤ {target.limit:g}: {target.verdict}")
        if svg is not None:
            draw(outcomes, here / svg)
        if json_path is not None:
            (here / json_path).write_text(json_of(outcomes))
    if markdown:
        print(markdown_of(("assumption", "value"), assumption_rows(base)))
    console.print(f"a model's figures, computed in {time.monotonic() - began_s:.0f} s")


def fault_cases(base: Assumptions) -> list[tuple[str, Way, Assumptions]]:
    """Return what may go wrong with peers, and what their networks do where nothing else limits them."""
    fast = replace(base, machine=_FAST)
    return [
        ("one node", Way.P2P, replace(base, nodes=1)),
        ("nothing goes wrong", Way.P2P, base),
        ("5 % of the daemons restart", Way.P2P, replace(base, faults=Faults(restarts=0.05))),
        ("a seed is lost after 15 s", Way.P2P, replace(base, faults=Faults(seed_lost_s=15))),
        (
            "the only seed is lost after 15 s", Way.P2P,
            replace(base, swarm=Swarm(seeds=1), faults=Faults(seed_lost_s=15)),
        ),
        (
            "no scheduler from 20 s to 30 s", Way.P2P,
            replace(base, faults=Faults(scheduler_lost_s=20, scheduler_back_s=30)),
        ),
        ("one peer is poisoned", Way.P2P, replace(base, faults=Faults(poisoned=1))),
        ("one node, unpacks at 5 GB/s", Way.P2P, replace(fast, nodes=1)),
        ("nodes unpack at 5 GB/s", Way.P2P, fast),
    ]  # fmt: skip


def wave_rows(base: Assumptions) -> list[tuple[str, ...]]:
    """Return how long rollouts take: turns, and the model's time of one."""
    rows: list[tuple[str, ...]] = []
    for at_once in sorted({1, *(max(1, int(base.nodes * share)) for share in _SHARES)}):
        rollout = Rollout(at_once=at_once, min_ready_s=_MIN_READY_S, jitter_s=_JITTER_S)
        turns = turns_of(base.nodes, rollout)
        found = [run_model(way, replace(base, nodes=at_once)).seconds for way in (Way.REGISTRY, Way.P2P)]
        cells = [(duration(each), duration(rollout_s(turns, each, rollout))) for each in found]
        rows.append((f"{at_once:,}", f"{turns:,}", *cells[0], *cells[1]))
    return rows


def _variants(cases: Sequence[tuple[str, Way, Assumptions]]) -> list[tuple[str, ...]]:
    outcomes: list[Outcome] = [run_model(way, assumptions) for _, way, assumptions in cases]
    return [(case[0], *row) for case, row in zip(cases, rows_of(outcomes), strict=True)]


def _show(console: Console, head: Sequence[str], rows: Sequence[Sequence[str]], markdown: bool) -> None:
    if markdown:
        print(markdown_of(head, rows))
        return
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in head:
        table.add_column(name, no_wrap=True)
    for row in rows:
        table.add_row(*row)
    console.print(table)


if __name__ == "__main__":
    main()
