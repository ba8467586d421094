"""`bazel run //tools:matrix`: shows the environments and toolkits of a generation."""

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import Console
from rich.filesize import decimal
from rich.table import Table

from gens.catalog import load_catalog
from gens.command import MonobaseCommand
from gens.drivers import minimum_driver
from gens.generation import Environment, Generation, Toolkit
from tools.options import definitions_option, json_option, locks_option
from tools.overview.companions import COMPANIONS, companion, pinned
from tools.overview.page import lock_link, overview_page
from tools.overview.sharing import GenerationBytes, PlatformBytes, read_bytes

_WIDE = 500


@click.command(cls=MonobaseCommand)
@click.option(
    "--gen",
    "generation_id",
    type=click.IntRange(min=0),
    help="Generation.  [default: the newest; all with --html]",
)
@click.option(
    "--html",
    "page",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write a page with all generations to this file.",
)
@json_option
@definitions_option
@locks_option
def main(
    *, generation_id: int | None, page: Path | None, as_json: bool, definitions: Path | None, locks: Path
) -> None:
    """Show the environments and toolkits of a generation."""
    if page is not None and as_json:
        raise click.UsageError("--html and --json exclude each other: call the command twice")
    catalog = load_catalog(definitions, locks)
    if page is not None:
        shown = catalog.generations if generation_id is None else (catalog.generation(generation_id),)
        _write_page(read_bytes(catalog, shown), page, locks)
        return
    generation = catalog.generations[-1] if generation_id is None else catalog.generation(generation_id)
    (found,) = read_bytes(catalog, [generation])
    if as_json:
        click.echo(json.dumps(_as_json(found), indent=2))
        return
    for line in _heading(found):
        click.echo(line)
    # A pipe or file has no width to fit.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
    for platform in found.platforms:
        if len(found.platforms) > 1:
            click.echo(_platform_heading(platform))
        console.print(_table(generation, platform))
        if any(cell.stack is not None for cell in _environments(platform)):
            console.print(_stacks_table(generation, platform))


def _write_page(generations: list[GenerationBytes], page: Path, locks: Path) -> None:
    path = Path(os.environ.get("BUILD_WORKING_DIRECTORY", "."), page).resolve()
    link = lock_link(os.path.relpath(locks.resolve(), path.parent))
    try:
        path.write_text(overview_page(generations, link), encoding="utf-8")
    except OSError as error:
        raise click.UsageError(
            f"{path}: cannot be written: {error.strerror}; name a file with --html"
        ) from error
    click.echo(f"wrote {path}")


def _heading(found: GenerationBytes) -> Iterator[str]:
    generation = found.generation
    platforms = ", ".join(platform.platform for platform in found.platforms)
    yield f"{generation.directory_name}, {platforms}, nothing newer than {generation.exclude_newer}"
    yield f"packages  {', '.join(generation.packages) or 'none'}"
    toolkits = dict.fromkeys(f"{toolkit.name} ({toolkit.full_version})" for toolkit in generation.toolkits)
    yield f"toolkits  {', '.join(toolkits) or 'none'}"
    yield (
        f"{found.locks} locks name {found.wheels} distinct wheels of {decimal(found.wheel_bytes)};"
        f" separate downloads would take {decimal(found.locked_bytes)}"
    )


def _platform_heading(platform: PlatformBytes) -> str:
    return (
        f"\n{platform.platform}: {len(platform.targets)} locks, {platform.wheels} wheels of"
        f" {decimal(platform.wheel_bytes)}; {platform.shared_percent} % of {decimal(platform.locked_bytes)}"
        " is shared"
    )


def _table(generation: Generation, platform: PlatformBytes) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    for column in ("torch", *COMPANIONS, "driver", *generation.python.values()):
        table.add_column(column, no_wrap=True)
    environments = [cell for cell in _environments(platform) if cell.stack is None]
    for torch in (None, *generation.torch):
        cells = [cell for cell in environments if cell.torch == torch]
        companions = [companion(cells, package) for package in COMPANIONS]
        builds = [_builds(cells, python) for python in generation.python]
        drivers = dict.fromkeys(minimum_driver(cell.cuda) or "-" for cell in cells if cell.cuda is not None)
        table.add_row(torch or "none", *companions, ", ".join(drivers) or "-", *builds)
    return table


def _stacks_table(generation: Generation, platform: PlatformBytes) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 3, 0, 0))
    for column in ("stack", "version", "torch", *generation.python.values()):
        table.add_column(column, no_wrap=True)
    rows: dict[tuple[str, ...], list[Environment]] = {}
    for cell in _environments(platform):
        if cell.stack is not None:
            rows.setdefault((cell.stack, cell.stack_version or "-", cell.torch or "-"), []).append(cell)
    for head, cells in rows.items():
        table.add_row(*head, *(_builds(cells, python) for python in generation.python))
    return table


def _environments(platform: PlatformBytes) -> list[Environment]:
    return [item.target for item in platform.targets if isinstance(item.target, Environment)]


def _builds(cells: list[Environment], python: str) -> str:
    return ", ".join(cell.build or "yes" for cell in cells if cell.python == python) or "-"


def _as_json(found: GenerationBytes) -> dict[str, object]:
    generation = found.generation
    sizes = [
        (platform.platform, item, item.target) for platform in found.platforms for item in platform.targets
    ]
    return {
        "generation": generation.id,
        "platform": generation.platform,
        "platforms": generation.platforms,
        "exclude_newer": generation.exclude_newer,
        "python": generation.python,
        "packages": generation.packages,
        "environments": [
            {
                "name": cell.name,
                "platform": platform,
                "python": cell.python_full,
                "torch": cell.torch,
                "build": cell.build,
                "cuda": cell.cuda,
                "minimum_driver": None if cell.cuda is None else minimum_driver(cell.cuda),
                "stack": cell.stack,
                "stack_version": cell.stack_version,
                **{package: pinned(cell, package) for package in COMPANIONS},
                "wheel_bytes": item.wheel_bytes,
                "added_bytes": item.added_bytes,
            }
            for platform, item, cell in sizes
            if isinstance(cell, Environment)
        ],
        "toolkits": [
            {
                "name": toolkit.name,
                "platform": platform,
                "version": toolkit.full_version,
                "wheel_bytes": item.wheel_bytes,
                "added_bytes": item.added_bytes,
            }
            for platform, item, toolkit in sizes
            if isinstance(toolkit, Toolkit)
        ],
        "content": {
            "locks": found.locks,
            "locked_bytes": found.locked_bytes,
            "wheels": found.wheels,
            "wheel_bytes": found.wheel_bytes,
        },
    }


if __name__ == "__main__":
    main()
