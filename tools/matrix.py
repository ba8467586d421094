"""`bazel run //tools:matrix`: shows the environments and toolkits of a generation."""

import dataclasses
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from packaging.requirements import Requirement
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from gens.catalog import Catalog, load_catalog
from gens.command import MonobaseCommand
from gens.generation import Environment, Generation
from tools.options import definitions_option, json_option, locks_option

_COMPANIONS = ("torchvision", "torchaudio")
_WIDE = 500


@dataclasses.dataclass(frozen=True, slots=True)
class Content:
    """Numbers and sizes of the locks of a generation and their wheels.

    Attributes:
        locks: Number of locks.
        locked_bytes: Bytes of the wheels of each lock, summed up: the size of separate downloads.
        wheels: Number of distinct wheels in them.
        wheel_bytes: Bytes of the distinct wheels: the size of a node's download.
    """

    locks: int
    locked_bytes: int
    wheels: int
    wheel_bytes: int


@click.command(cls=MonobaseCommand)
@click.option("--gen", "generation_id", type=click.IntRange(min=0), help="Generation.  [default: the newest]")
@json_option
@definitions_option
@locks_option
def main(*, generation_id: int | None, as_json: bool, definitions: Path | None, locks: Path) -> None:
    """Show the environments and toolkits of a generation."""
    catalog = load_catalog(definitions, locks)
    generation = catalog.generations[-1] if generation_id is None else catalog.generation(generation_id)
    content = count(catalog, generation)
    if as_json:
        click.echo(json.dumps(_as_json(generation, content), indent=2))
        return
    for line in _heading(generation, content):
        click.echo(line)
    # A pipe or file has no width to fit.
    Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE).print(_table(generation))


def count(catalog: Catalog, generation: Generation) -> Content:
    """Count the locks and wheels of a generation.

    Args:
        catalog: Catalog with the locks.
        generation: The generation.

    Returns:
        The counts.

    Raises:
        LockError: A lock is missing or malformed.
    """
    locks = [catalog.lock(generation, target) for target in generation.targets]
    sizes_bytes = {wheel.sha256: wheel.size_bytes for lock in locks for wheel in lock.wheels}
    return Content(
        locks=len(locks),
        locked_bytes=sum(lock.size_bytes for lock in locks),
        wheels=len(sizes_bytes),
        wheel_bytes=sum(sizes_bytes.values()),
    )


def _heading(generation: Generation, content: Content) -> Iterator[str]:
    platforms = ", ".join(generation.platforms)
    yield f"{generation.directory_name}, {platforms}, nothing newer than {generation.exclude_newer}"
    yield f"packages  {', '.join(generation.packages) or 'none'}"
    toolkits = [f"{toolkit.name} ({toolkit.full_version})" for toolkit in generation.toolkits]
    yield f"toolkits  {', '.join(toolkits) or 'none'}"
    yield (
        f"{content.locks} locks name {content.wheels} distinct wheels of"
        f" {decimal(content.wheel_bytes)};"
        f" separate downloads would take {decimal(content.locked_bytes)}"
    )


def _table(generation: Generation) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    for column in ("torch", *_COMPANIONS, *generation.python.values()):
        table.add_column(column, no_wrap=True)
    for torch in (None, *generation.torch):
        cells = [cell for cell in generation.environments if cell.torch == torch]
        companions = [_companion(cells, package) for package in _COMPANIONS]
        builds = [_builds(cells, python) for python in generation.python]
        table.add_row(torch or "none", *companions, *builds)
    return table


def _builds(cells: list[Environment], python: str) -> str:
    return ", ".join(cell.build or "yes" for cell in cells if cell.python == python) or "-"


def _companion(cells: list[Environment], package: str) -> str:
    """Return the version of a companion of Torch, with the Pythons that have it if not all do."""
    versions = {cell.python: version for cell in cells if (version := _pinned(cell, package)) is not None}
    without = sorted({cell.python for cell in cells} - versions.keys())
    note = f" (not {', '.join(without)})" if versions and without else ""
    return (", ".join(sorted(set(versions.values()))) or "-") + note


def _pinned(cell: Environment, package: str) -> str | None:
    for requirement in map(Requirement, cell.inputs.requirements):
        if requirement.name == package:
            (specifier,) = requirement.specifier
            return specifier.version.partition("+")[0]
    return None


def _as_json(generation: Generation, content: Content) -> dict[str, object]:
    return {
        "generation": generation.id,
        "platform": generation.platform,
        "exclude_newer": generation.exclude_newer,
        "python": generation.python,
        "packages": generation.packages,
        "environments": [
            {
                "name": cell.name,
                "python": cell.python_full,
                "torch": cell.torch,
                "build": cell.build,
                "cuda": cell.cuda,
                **{package: _pinned(cell, package) for package in _COMPANIONS},
            }
            for cell in generation.environments
        ],
        "toolkits": [
            {"name": toolkit.name, "version": toolkit.full_version} for toolkit in generation.toolkits
        ],
        "content": dataclasses.asdict(content),
    }


if __name__ == "__main__":
    main()
