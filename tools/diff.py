"""`bazel run //tools:diff`: shows the changes from one generation to another."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import click

from gens.catalog import Catalog, load_catalog
from gens.command import MonobaseCommand
from gens.generation import Generation
from gens.lock import Lock
from tools.comparing.comparison import Change, Comparison, compare
from tools.comparing.target_names import joined_names
from tools.options import definitions_option, json_option, locks_option


@click.command(cls=MonobaseCommand)
@click.argument("before", type=click.IntRange(min=0))
@click.argument("after", type=click.IntRange(min=0))
@json_option
@definitions_option
@locks_option
def main(*, before: int, after: int, as_json: bool, definitions: Path | None, locks: Path) -> None:
    """Show what changes from generation BEFORE to generation AFTER, for each machine.

    A change that several environments share is one line.
    """
    catalog = load_catalog(definitions, locks)
    old, new = catalog.generation(before), catalog.generation(after)
    found = {
        machine: compare(_locks(catalog, old, machine), _locks(catalog, new, machine))
        for machine in dict.fromkeys((*old.machines, *new.machines))
    }
    if as_json:
        machines = {machine: dataclasses.asdict(comparison) for machine, comparison in found.items()}
        click.echo(json.dumps({"before": before, "after": after, "machines": machines}, indent=2))
        return
    for machine, comparison in found.items():
        click.echo(f"{old.directory_name} → {new.directory_name}, {machine}")
        missing = next((one for one in (old, new) if machine not in one.machines), None)
        if missing is None:
            click.echo("\n".join(render(comparison)))
        else:
            targets = comparison.added or comparison.removed
            click.echo(f"{missing.directory_name} has nothing for it, the other {len(targets)} targets")


def render(comparison: Comparison) -> Iterator[str]:
    """Write a comparison for people.

    Args:
        comparison: The comparison.

    Yields:
        Lines.
    """
    both = comparison.common
    yield (
        f"{len(comparison.added)} added, {len(comparison.removed)} removed, {len(both)} in both,"
        f" {comparison.unchanged} of them unchanged"
    )
    yield from _section("added", joined_names(comparison.added))
    yield from _section("removed", joined_names(comparison.removed))
    groups: dict[tuple[str, ...], list[Change]] = {}
    for change in comparison.changes:
        groups.setdefault(change.targets, []).append(change)
    width = max((len(change.package) for change in comparison.changes), default=0)
    for targets, changes in groups.items():
        yield from _section(
            f"changed in {_scope(targets, both)}", (_change(change, width) for change in changes)
        )


def _section(title: str, lines: Iterator[str]) -> Iterator[str]:
    for number, line in enumerate(lines):
        if number == 0:
            yield f"\n{title}"
        yield f"  {line}"


def _scope(targets: tuple[str, ...], both: tuple[str, ...]) -> str:
    environments = tuple(name for name in both if name.startswith("python"))
    with_torch = tuple(name for name in environments if "-torch" in name)
    for everything, words in (
        (both, ""),
        (environments, " environments"),
        (with_torch, " environments with Torch"),
    ):
        if len(targets) > 1 and targets == everything:
            return f"all {len(targets)}{words}"
    return ", ".join(joined_names(targets))


def _change(change: Change, width: int) -> str:
    if change.before is None:
        what = f"new {change.after}"
    elif change.after is None:
        what = f"gone {change.before}"
    else:
        what = f"{change.before} → {change.after}"
    return f"{change.package:{width}}  {what}"


def _locks(catalog: Catalog, generation: Generation, machine: str) -> dict[str, Lock]:
    if machine not in generation.machines:
        return {}
    return {
        target.name: catalog.lock(generation, target) for target in generation.for_machine(machine).targets
    }


if __name__ == "__main__":
    main()
