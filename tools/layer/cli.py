"""`bazel run //tools:layer`: locks what a model adds to an environment, and checks such locks."""

import json
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click

from gens.command import MonobaseCommand, version_option
from gens.errors import DifferenceError
from tools.locking.uv_program import find_resolver
from tools.options import definitions_option, json_option

# Imports inside functions: they take longer than all else that this process does, and uv answers meanwhile.
# ruff: noqa: PLC0415


def _in_working_directory(
    _context: click.Context, _parameter: click.Parameter, value: Path | tuple[Path, ...] | None
) -> Path | tuple[Path, ...] | None:
    """Return paths as the author means them: `bazel run` starts a command in another folder."""
    here = Path(os.environ.get("BUILD_WORKING_DIRECTORY") or Path.cwd())
    if isinstance(value, tuple):
        return tuple(Path(os.path.normpath(here / path)) for path in value)
    return None if value is None else Path(os.path.normpath(here / value))


_locks_option = click.option(
    "--locks",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Directory of the locks of generations.  [default: those of this build]",
)


def _order_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say what to lock for which base."""
    path = click.Path(path_type=Path)
    for decorate in reversed(
        (
            click.option(
                "--gen",
                "generation_id",
                type=click.IntRange(min=0),
                help="ID of the generation.  [default: that of the lock, or the newest]",
            ),
            click.option(
                "--env",
                "environment",
                help="Environment, or its beginning: 3.12-torch2.13.  [default: that of the lock]",
            ),
            click.option(
                "--machine", help="Machine, such as aarch64.  [default: that of the lock, or x86_64]"
            ),
            click.option("--extra", "extras", multiple=True, help="Extra of the pyproject.toml."),
            click.option(
                "--group",
                "groups",
                multiple=True,
                help="Dependency group of the pyproject.toml.",
            ),
            click.option(
                "-c",
                "--constraint",
                "constraint_files",
                type=path,
                multiple=True,
                callback=_in_working_directory,
                help="File of constraints.",
            ),
            click.option(
                "--default-index", "index_url", metavar="URL", help="Index in place of the default one."
            ),
            click.option(
                "--index",
                "extra_index_urls",
                multiple=True,
                metavar="URL",
                help="Index beside the default one, asked first.",
            ),
            click.option(
                "--override",
                "overrides",
                multiple=True,
                metavar="NAME[==VERSION]",
                help="Package that may differ from the base.",
            ),
            definitions_option,
            _locks_option,
        )
    ):
        command = decorate(command)
    return command


@click.group()
def main() -> None:
    """Lock a model's own packages on top of an environment of a generation."""


main.params.append(version_option())


@main.command(cls=MonobaseCommand)
@click.argument("sources", nargs=-1, type=click.Path(path_type=Path), callback=_in_working_directory)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("model.lock"),
    show_default=True,
    callback=_in_working_directory,
    help="The lock.",
)
@_order_options
@click.option(
    "--exclude-newer",
    metavar="DATE",
    help="Ignore what was uploaded later.  [default: that of the lock, or now]",
)
@click.option("-U", "--upgrade", is_flag=True, help="Forget the versions and the date of the lock.")
@click.option(
    "-P",
    "--upgrade-package",
    "upgrade_packages",
    multiple=True,
    metavar="NAME",
    help="Forget the version of one package.",
)
@click.option("--no-build", is_flag=True, help="Build no package from an index.")
@click.option(
    "--check", "only_check", is_flag=True, help="Change nothing; exit 1 if the lock is out of date."
)
@json_option
def lock(
    *,
    definitions: Path | None,
    locks: Path | None,
    no_build: bool,
    only_check: bool,
    as_json: bool,
    **fields: Any,  # noqa: ANN401 (the options, by the names of Order's fields)
) -> None:
    """Lock SOURCES on top of an environment.

    SOURCES are requirements files, pyproject.toml or scripts with inline metadata; by default those of the
    existing lock. The lock has what the environment lacks, each wheel by its hash.
    """
    if only_check:
        _check(definitions, locks, fields, is_check=False)
        return
    with ThreadPoolExecutor(1) as pool:
        resolver = pool.submit(find_resolver)
        from gens.catalog import load_catalog
        from tools.layer.locking import make_lock
        from tools.layer.order import make_order

        order = make_order(may_build=not no_build, **fields)
        catalog = load_catalog(definitions, locks)
        outcome = make_lock(catalog, order, lambda step: click.echo(step, err=True), resolver.result)
    for warning in outcome.warnings:
        click.echo(f"warning: {warning.removeprefix('warning: ')}", err=True)
    from tools.layer.summary import summary_json, summary_lines

    if as_json:
        click.echo(json.dumps(summary_json(outcome, order.output), indent=2))
    else:
        click.echo("\n".join(summary_lines(outcome, order.output)))


@main.command(cls=MonobaseCommand)
@click.argument("output", type=click.Path(path_type=Path), callback=_in_working_directory, metavar="LOCK")
@click.argument("sources", nargs=-1, type=click.Path(path_type=Path), callback=_in_working_directory)
@_order_options
def check(*, definitions: Path | None, locks: Path | None, **fields: Any) -> None:  # noqa: ANN401 (as above)
    """Check, without an index, that LOCK belongs to its SOURCES, its base and its generation.

    SOURCES are those that the lock names, unless they lie elsewhere.
    """
    _check(definitions, locks, fields, is_check=True)


def _check(definitions: Path | None, locks: Path | None, fields: dict[str, Any], *, is_check: bool) -> None:
    from gens.catalog import load_catalog
    from layers.lock import read_layer_lock
    from tools.layer.check import differences, missing_base
    from tools.layer.locking import order_base
    from tools.layer.order import complete, make_order, read_request
    from tools.layer.question import request_for

    catalog, order = load_catalog(definitions, locks), make_order(**fields)
    found = read_layer_lock(order.output)
    gone = missing_base(catalog, found)
    if gone is not None:
        raise DifferenceError(f"{order.output}: its base does not exist: {gone}; lock again with --env")
    order = complete(order, found, is_check=is_check)
    base = order_base(catalog, order)
    request = request_for(base, read_request(order), order.overrides)
    messages = list(differences(found, order.output, base, request, order))
    if messages:
        raise DifferenceError(
            "\n".join(
                (f"{order.output}: is out of date; lock again", *(f"  {message}" for message in messages))
            )
        )
    click.echo(f"{order.output}: up to date")


if __name__ == "__main__":
    main()
