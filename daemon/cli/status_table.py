"""The status of a prefix as a person reads it."""

from rich.console import Console
from rich.filesize import decimal
from rich.table import Table
from rich.text import Text

from daemon.upkeep.readiness import SourceKnown
from daemon.upkeep.status import GenerationStatus, PrefixStatus

_UNBOUNDED = 10_000  # columns
_SHOWN = 3


def print_status(status: PrefixStatus) -> None:
    """Write the status to standard output: a table of the generations, and what the disk holds."""
    console = Console(soft_wrap=True, highlight=False)
    if not console.is_terminal:
        console.width = _UNBOUNDED  # a reader such as grep wants each generation in one line
    for text in (*status.strangers, *(found.problem for found in status.generations if found.problem)):
        console.print(text, markup=False)
    if not status.generations:
        console.print(f"{status.prefix}: nothing is installed")
    else:
        _print_generations(console, status)
    for source in status.sources:
        console.print(f"received since the daemon started: {_source(source)}", markup=False)
    for text in status.failures:
        console.print(text, markup=False)


def _print_generations(console: Console, status: PrefixStatus) -> None:
    table = Table("generation", "state", "ready", "apparent", "missing", box=None, pad_edge=False)
    for generation in status.generations:
        left_out = set(generation.left_out)
        missing = [each.name for each in generation.targets if not each.ready and each.name not in left_out]
        table.add_row(
            generation.name + (" (latest)" if generation.latest else ""),
            Text(_state(generation)),
            _ready(generation),
            decimal(generation.apparent_bytes),
            _some(missing),
        )
    console.print(table)
    console.print(
        f"environments and toolkits: {decimal(status.apparent_bytes)} apparent, "
        f"{decimal(status.distinct_bytes)} distinct, {decimal(status.saved_bytes)} saved by sharing"
    )
    console.print(
        f"{status.prefix}: {decimal(status.disk_bytes)} on disk with uv's cache, "
        f"{decimal(status.free_bytes)} free"
    )
    if status.leased:
        console.print(f"leased by models: {_some(status.leased)}", markup=False)


def _source(source: SourceKnown) -> str:
    failures = ", ".join(f"{number} {reason}" for reason, number in source.failures.items())
    return (
        f"{decimal(source.received_bytes)} of {source.name}{f' (failures: {failures})' if failures else ''}"
    )


def _state(generation: GenerationStatus) -> str:
    if not generation.sealed:
        return "mark unreadable" if generation.problem else "partial"
    return f"sealed for {generation.selection}" if generation.selection else "sealed"


def _ready(generation: GenerationStatus) -> str:
    left_out = len(generation.left_out)
    text = f"{generation.ready} of {len(generation.targets) - left_out}"
    return f"{text}, {left_out} left out" if left_out else text


def _some(names: list[str]) -> str:
    rest = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {rest} more" if rest > 0 else "")
