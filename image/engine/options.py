"""The options that choose the container engine."""

from collections.abc import Callable

import click

from image.engine.container_engine import ENGINES
from image.oci.options import option

Command = Callable[..., None]


def engine_options(command: Command) -> Command:
    """Add `--engine` and `--engine-arg` to a command, which gets them as `engine` and `engine_args`."""
    for decorate in (
        option(
            "--engine-arg", "engine_args", multiple=True, metavar="ARGUMENT",
            help="Argument before the engine's command, such as --engine-arg=--root=/srv/images; repeatable.",
        ),
        option(
            "--engine", type=click.Choice(ENGINES),
            help="The engine.  [default: podman if it is on the PATH, otherwise docker]",
        ),
    ):  # fmt: skip
        command = decorate(command)
    return command
