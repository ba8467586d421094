"""`bazel run //tools:diff`: shows the changes from one generation to another."""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path

import click

from gens.catalog import Catalog, load_catalog
from gens.command import MonobaseCommand
from gens.generation import generation_directory_name
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
    """Show what changes from generation BEFORE to generation AFTER.

    A change that several environments share is one line.
    """
    catalog = load_catalog(definitions, locks)
    comparison = compare(_locks(catalog, before), _locks(catalog, after))
    if as_json:
        click.echo(json.dumps({"before": before, "after": after, **dataclasses.asdict(comparison)}, indent=2))
    else:
        click.echo(f"{generation_directory_name(before)} → {generation_directory_name(after)}")
        click.echo("\n".join(render(comparison)))


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


def _locks(catalog: Catalog, generation_id: int) -> dict[str, Lock]:
    generation = catalog.generation(generation_id)
    return {target.name: catalog.lock(generation, target) for target in generation.targets}


if __name__ == "__main__":
    main()
