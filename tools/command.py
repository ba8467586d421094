"""What the command lines of this folder have in common: how an error is shown, and options."""

import os
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from gens.errors import MonobaseError

_INTERNAL_ERROR = 70

definitions_option = click.option(
    "--definitions",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    help="Directory of the definitions (g00000.json …).  [default: those that Bazel made from gens/prod.bzl]",
)

locks_option = click.option(
    "--locks",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    callback=lambda _context, _parameter, value: value or _source_directory(),
    help="Directory of the locks and gens.sum.  [default: gens/ of the source tree]",
)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


class MonobaseCommand(click.Command):
    """A command whose expected failures end with one message and their exit code."""

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 (as in click)
        """Run the command.

        Args:
            ctx: What click knows of the call.
        """
        try:
            return super().invoke(ctx)
        except MonobaseError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(error.exit_code)
        except (click.exceptions.Exit, click.Abort, click.ClickException):
            raise
        except Exception:
            click.echo(f"internal error:\n{traceback.format_exc()}", err=True)
            ctx.exit(_INTERNAL_ERROR)


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
    return Path(workspace, "gens")
