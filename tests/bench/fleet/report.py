"""The tables of the model, as text for a console, as Markdown and as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from tests.bench.fleet.assumptions import Assumptions, Machine, Way
from tests.bench.fleet.outcome import Outcome

HEAD = ("way", "nodes", "all ready after", "÷ one node", "origin copies", "sent by", "between nodes")


@dataclass(frozen=True, slots=True)
class Target:
    """A target that the model is to reach.

    Attributes:
        measure: What is measured.
        value: The figure.
        limit: The most that it may be.
    """

    measure: str
    value: float
    limit: float

    @property
    def verdict(self) -> str:
        """The judgement in words."""
        return "reached" if self.value <= self.limit else "NOT REACHED"


def rows_of(outcomes: Sequence[Outcome]) -> list[tuple[str, ...]]:
    """Return the rows of the table, one an outcome."""
    alone = {_kind(each): each.seconds for each in outcomes if each.assumptions.nodes == 1}
    return [
        (
            each.way.value,
            f"{each.assumptions.nodes:,}",
            duration(each.seconds),
            f"{each.seconds / alone[_kind(each)]:,.2f}" if _kind(each) in alone else "-",
            f"{origin_copies(each):,.2f}",
            _senders(each),
            f"{each.peer_copies:,.1f}",
        )
        for each in outcomes
    ]


def origin_copies(outcome: Outcome) -> float:
    """Return how often the origin was read; a registry was filled by one copy before (`//tools:mirror`)."""
    return 1.0 if outcome.way is Way.REGISTRY else outcome.origin_copies


def targets_of(outcomes: Sequence[Outcome]) -> list[Target]:
    """Return what is to be reached, for the largest fleet of peers."""
    peers = {each.assumptions.nodes: each for each in outcomes if each.way is Way.P2P}
    largest = max(peers, default=0)
    if largest <= 1 or 1 not in peers:
        return []
    found, seeds = peers[largest], peers[largest].assumptions.swarm.seeds
    return [
        Target(f"origin copies, {largest:,} nodes", found.origin_copies, seeds + 0.2),
        Target(f"time of {largest:,} nodes / of one", found.seconds / peers[1].seconds, 2.0),
    ]


def duration(seconds: float) -> str:
    """Return a duration for people."""
    if seconds < 600:
        return f"{seconds:,.0f} s"
    if seconds < 2 * 3600:
        return f"{seconds / 60:,.0f} min"
    return f"{seconds / 3600:,.1f} h" if seconds < 3 * 86400 else f"{seconds / 86400:,.1f} days"


def markdown_of(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def assumption_rows(assumptions: Assumptions) -> list[tuple[str, str]]:
    """Return the assumptions, one a row: name and value."""
    return [(name, f"{value:,}" if isinstance(value, int | float) else str(value)) for name, value in _flat(
        asdict(assumptions)
    )]  # fmt: skip


def json_of(outcomes: Sequence[Outcome]) -> str:
    """Return all figures and assumptions as JSON; says that they are a model's."""
    entries = [{**asdict(each), "way": each.way.name.lower()} for each in outcomes]
    return json.dumps({"source": "model: //tests/bench:fleet", "outcomes": entries}, indent=2) + "\n"


def _kind(outcome: Outcome) -> tuple[Way, Machine]:
    return outcome.way, outcome.assumptions.machine


def _flat(values: Mapping[str, object], prefix: str = "") -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{prefix}{name}.")
        else:
            found.append((f"{prefix}{name}", value))
    return found


def _senders(outcome: Outcome) -> str:
    if outcome.way is Way.P2P:
        return f"seeds: {outcome.seed_copies:,.1f}"
    if outcome.way is Way.ALONE:
        return "-"
    return f"{'registry' if outcome.way is Way.REGISTRY else 'cache'}: {outcome.store_copies:,.1f}"
