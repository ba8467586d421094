"""The settings of `shell`, and where its options and its command come from."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import click

from daemon.cli.parameter_types import Seconds
from daemon.cli.settings import ProgramSettings, WorkSettings
from daemon.cli.settings_command import option
from daemon.errors import MachineError

_PATH = click.Path(path_type=Path)


class ShellCommand(click.Command):
    """A command whose paths are those of the folder that the user is in, and whose command has options."""

    allow_interspersed_args = False  # options behind the command are the command's

    def make_context(self, *arguments: Any, **settings: Any) -> click.Context:  # noqa: ANN401 (click's own type)
        """Go to the folder that `bazel run` was called in, before any path is read."""
        enter_working_directory(os.environ)
        return super().make_context(*arguments, **settings)


def enter_working_directory(variables: Mapping[str, str]) -> None:
    """Go to the folder that `bazel run` was called in; otherwise stay.

    Raises:
        MachineError: That folder cannot be entered.
    """
    directory = variables.get("BUILD_WORKING_DIRECTORY")
    if not directory:
        return
    try:
        os.chdir(directory)
    except OSError as error:
        raise MachineError(
            f"{directory}: the working folder cannot be entered: {error.strerror}; go to another one"
        ) from error


def default_prefix() -> Path:
    """Return the prefix in the user's home: `monobase` in the folder for data of the XDG specification."""
    return users_directory("XDG_DATA_HOME", "~/.local/share") / "monobase"


def users_directory(variable: str, default: str) -> Path:
    """Return a folder of the user, as the XDG specification says.

    Args:
        variable: The variable that names it.
        default: The folder without this variable, below `~`.

    Raises:
        MachineError: The user has no home.
    """
    named = os.environ.get(variable, "")
    if named.startswith("/"):  # the specification says to ignore a relative path
        return Path(named)
    try:
        return Path(default).expanduser()
    except RuntimeError as error:
        raise MachineError(
            f"the user {os.getuid()} has no home folder on this machine; set HOME, or {variable}"
        ) from error


@dataclass(frozen=True, slots=True)
class _Words:
    """The words behind the options."""

    def make(self, name: str, _: object) -> click.Argument:
        return click.Argument([name], nargs=-1, type=click.UNPROCESSED, metavar="[COMMAND [ARGUMENT]...]")


# fmt: off
@dataclass(frozen=True, slots=True, kw_only=True)
class ShellSettings:
    """The settings of `shell`."""

    env: Annotated[str | None, option(
        "The environment, such as python3.12-torch2.13.0-cu130; a part of its name will do if only one "
        "environment fits.", metavar="NAME", has_variable=False)]
    gen: Annotated[int | None, option(
        "Its generation; the newest one that has it, when not given.",
        click.IntRange(min=0), has_variable=False)]
    toolkit: Annotated[bool, option(
        "Whether the CUDA toolkit of the environment is installed and activated, too.",
        flag="--toolkit/--no-toolkit", default=True, has_variable=False)]
    layer: Annotated[Path | None, option(
        "A layer lock (model.lock), which names the environment: its packages come on top.",
        _PATH, has_variable=False)]
    prefix: Annotated[Path, option(
        "Folder that holds what is installed; by default $XDG_DATA_HOME/monobase.",
        _PATH, default=default_prefix)]
    work: WorkSettings
    lock_timeout: Annotated[float | None, option(
        "How long to wait for another writer of the prefix; without it, as long as it takes.", Seconds())]
    program: ProgramSettings
    command: Annotated[tuple[str, ...], _Words()]
# fmt: on
