"""The command line of the daemon: declares the commands and shows their errors.

The module of a command is loaded when the command is called: `--help` loads none of them, and a program may
hold some of them only.
"""

import os
import sys
import traceback
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn

import click

from daemon.cli.settings import (
    EvictSettings,
    InstallSettings,
    PruneSettings,
    ReadySettings,
    RunSettings,
    StatusSettings,
    VerifySettings,
)
from daemon.cli.settings_command import command
from daemon.cli.shell_settings import ShellCommand, ShellSettings
from daemon.cli.stop_signal import stop_on_signals
from daemon.errors import MachineError
from daemon.host.system_error import explain
from daemon.report.shown_text import visible
from gens.command import version_option
from gens.errors import MonobaseError
from gens.redaction import redact


class _Cli(click.Group):
    """A group that shows Monobase's errors once and exits with their codes."""

    def main(self, *arguments: Any, **settings: Any) -> Any:  # noqa: ANN401 (click's own type)
        """Start, with an open file behind each of the standard streams."""
        _open_standard_streams()
        return super().main(*arguments, **settings)

    def invoke(self, ctx: click.Context) -> Any:  # noqa: ANN401 (click's own type)
        """Run the command."""
        try:
            _check_working_directory()
            try:
                return super().invoke(ctx)
            finally:
                sys.stdout.flush()  # here, so that a reader that has closed the pipe is not an internal error
        except MonobaseError as error:
            self._show(ctx, error)
        except (
            click.ClickException, click.exceptions.Exit, click.Abort, KeyboardInterrupt, BrokenPipeError,
        ):  # fmt: skip
            raise
        except Exception as error:
            explained = explain(error, Path(getattr(error, "filename", None) or "."))
            if explained is not None:
                self._show(ctx, explained)
            click.echo(redact(traceback.format_exc()), err=True, nl=False)
            click.echo(
                "error: this is a fault of monobase itself; please report it with the lines above", err=True
            )
            ctx.exit(70)

    def _show(self, ctx: click.Context, error: MonobaseError) -> NoReturn:
        if ctx.obj is None:
            click.echo("error: " + visible(redact(str(error)), keep="\n\t"), err=True)
        else:
            ctx.obj.error(str(error))
        ctx.exit(error.exit_code)


@click.group(cls=_Cli, params=[version_option()])
def main() -> None:
    """Install generations of environments under one prefix of a node."""


@command(main, InstallSettings)
def install(settings: InstallSettings) -> None:
    """Install what is missing of the active generations, and seal those that are complete."""
    _module("install").install(settings)


@command(main, VerifySettings)
def verify(settings: VerifySettings) -> None:
    """Compare every installed file with the manifests that sealing wrote; exit with 1 when they differ."""
    _module("verify").verify(settings)


@command(main, StatusSettings)
def status(settings: StatusSettings) -> None:
    """Show what stands on the prefix, and what sharing saves."""
    _module("status").status(settings)


@command(main, RunSettings)
def run(settings: RunSettings) -> None:
    """Install the active generations, newest first, and keep the node that way until SIGTERM."""
    asked_to_stop = stop_on_signals()  # before the modules are loaded, which takes a while
    _module("run").run(settings, asked_to_stop)


@command(main, ReadySettings)
def ready(settings: ReadySettings) -> None:
    """Report whether the active generations are ready: exit with 0, or with 1 and the reasons."""
    _module("ready").ready(settings)


@command(main, PruneSettings)
def prune(settings: PruneSettings) -> None:
    """Remove generations older than --min-gen-id, and what only they use."""
    _module("prune").prune(settings)


@command(main, EvictSettings)
def evict(settings: EvictSettings) -> None:
    """Remove the environments that no model has leased for longest, until the prefix is within its budget."""
    _module("evict").evict(settings)


@command(main, ShellSettings, ShellCommand)
def shell(settings: ShellSettings) -> None:
    """Become a command, or a shell, in an environment of a prefix in the user's home; install it first."""
    _module("shell").shell(settings)


def _module(name: str) -> ModuleType:
    path = f"daemon.cli.{name}"
    try:
        return import_module(path)
    except ModuleNotFoundError as error:
        if error.name != path:
            raise
        raise click.UsageError(
            f"this program is built without `{name}`; use the one of //daemon or of the image"
        ) from error


def _open_standard_streams() -> None:
    """Open closed streams: else a file of the prefix would get their number, and uv would write to it."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number
    sys.stdout = sys.stdout or open(1, "w", closefd=False)  # noqa: SIM115 (for the whole process)
    sys.stderr = sys.stderr or open(2, "w", closefd=False)  # noqa: SIM115


def _check_working_directory() -> None:
    try:
        os.getcwd()  # noqa: PTH109 (whether there is one)
    except FileNotFoundError as error:
        raise MachineError(
            "the working folder of this process was removed, and uv does not run there; go to another one"
        ) from error


if __name__ == "__main__":
    main(prog_name="monobase")
