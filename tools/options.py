"""The options that several commands of this folder share."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

definitions_option = click.option(
    "--definitions",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Directory of the definitions (g00000.json …).  [default: made by Bazel from gens/prod.bzl]",
)

locks_option = click.option(
    "--locks",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    callback=lambda _context, _parameter, value: value or _source_directory(),
    help="Directory of the locks and gens.sum.  [default: gens/ of the source tree]",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def min_gen_id_option(**attributes: Any) -> Callable[[Any], Any]:  # noqa: ANN401 (as in click)
    """Make the option `--min-gen-id`."""
    return click.option("--min-gen-id", type=click.IntRange(min=0), help="Lowest ID.", **attributes)


def max_gen_id_option() -> Callable[[Any], Any]:
    """Make the option `--max-gen-id`."""
    return click.option("--max-gen-id", type=click.IntRange(min=0), help="Highest ID.  [default: the newest]")


def _source_directory() -> Path:
    workspace = os.environ.get("BUILD_WORKSPACE_DIRECTORY")
    if workspace is None:
        raise click.UsageError("not run by `bazel run`: name the directory of the locks with --locks")
    # A team's own generations are in another folder: `generations` of gens/defs.bzl says in which.
    return Path(workspace, os.environ.get("MONOBASE_GENERATIONS_FOLDER", "gens"))
