"""A command line of monobase: how it shows an error, whichever folder the command is of."""

import traceback
from typing import Any

import click

from gens.errors import MonobaseError

_INTERNAL_ERROR = 70


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
