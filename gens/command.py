"""Command line class of all Monobase commands: `--version`, and one form of error messages."""

import traceback
from typing import Any

import click

from gens.errors import MonobaseError
from gens.redaction import without_learnt
from gens.version import read_version

_INTERNAL_ERROR = 70


def version_option() -> click.Option:
    """Return the option `--version`, which prints the version and the commit of this build."""
    return click.Option(
        ["--version"],
        is_flag=True,
        is_eager=True,
        expose_value=False,
        callback=_show_version,
        help="Show the version and the commit, and exit.",
    )


def _show_version(ctx: click.Context, _option: click.Parameter, asked: bool) -> None:
    if asked:
        click.echo(str(read_version()))
        ctx.exit()


class MonobaseCommand(click.Command):
    """A command with `--version` that prints an expected failure as one message and exits with its code."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:  # noqa: ANN401 (as in click)
        super().__init__(*arguments, **settings)
        self.params.append(version_option())

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 (as in click)
        """Run the command.

        Args:
            ctx: Context of the call, from click.
        """
        try:
            return super().invoke(ctx)
        except MonobaseError as error:
            click.echo(f"error: {without_learnt(str(error))}", err=True)
            ctx.exit(error.exit_code)
        except (click.exceptions.Exit, click.Abort, click.ClickException):
            raise
        except Exception:
            click.echo(f"internal error:\n{without_learnt(traceback.format_exc())}", err=True)
            ctx.exit(_INTERNAL_ERROR)
