"""A command that Bazel runs as an action: an expected failure ends with one message, not with a traceback."""

from typing import Any

import click

from gens.errors import MonobaseError


class Action(click.Command):
    """A command of an action; its exit codes are those of the errors."""

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
