"""Options and types that the commands for images share; each option is an environment variable as well."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from image.oci.reference import Repository, parse_image_name, parse_repository, parse_tag

Command = Callable[..., None]
_UNITS = {"": 1, "K": 1000, "M": 1000**2, "G": 1000**3}

# Arguments that the rules oci_push and oci_load pass.
layout_argument = click.argument(
    "layout", type=click.Path(path_type=Path, exists=True, file_okay=False, resolve_path=True)
)


def option(
    flag: str,
    *names: str,
    variable: str | None = None,
    **settings: Any,  # noqa: ANN401 (as in click)
) -> Callable[[Command], Command]:
    """Make an option that is an environment variable as well: `--mount-from` is `MONOBASE_MOUNT_FROM`.

    Args:
        flag: The flag.
        *names: Further names of the option for click.
        variable: The variable, if the name derived from the flag has another meaning in another command.
        **settings: Further arguments of click.option.
    """
    variable = variable or "MONOBASE_" + flag.removeprefix("--").replace("-", "_").upper()
    return click.option(flag, *names, envvar=variable, show_envvar=True, show_default=True, **settings)


def enter_working_directory() -> None:
    """Change to the folder in which `bazel run` was started: paths of the caller are relative to it."""
    if directory := os.environ.get("BUILD_WORKING_DIRECTORY"):
        os.chdir(directory)


class RepositoryType(click.ParamType[Repository]):
    """A repository of a registry."""

    name = "repository"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Repository:  # noqa: ANN401
        """Read it."""
        if isinstance(value, Repository):
            return value
        try:
            return parse_repository(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class TagType(click.ParamType[str]):
    """A tag."""

    name = "tag"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401
        """Read it."""
        try:
            return parse_tag(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class ImageNameType(click.ParamType[str]):
    """The name of an image on this machine."""

    name = "name:tag"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401
        """Read it."""
        try:
            return parse_image_name(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class SizeType(click.ParamType[int]):
    """A number of bytes, with K, M or G (powers of ten)."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401
        """Read it."""
        if isinstance(value, int):
            return value
        found = re.fullmatch(r"([0-9]+)([KMG]?)", value.upper())
        if found is None:
            self.fail(f"{value!r} is not a size such as 50M", param, ctx)
        return int(found[1]) * _UNITS[found[2]]
