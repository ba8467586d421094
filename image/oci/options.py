"""What the commands for images share: options, each an environment variable as well, and their types."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from image.oci.reference import Repository, parse_image_name, parse_repository, parse_tag

Command = Callable[..., None]
_UNITS = {"": 1, "K": 1000, "M": 1000**2, "G": 1000**3}

# What oci_push and oci_load of push.bzl give.
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
        *names: What else click takes as the name of an option.
        variable: The variable, where the flag's own name would mean something else to another command.
        **settings: click's.
    """
    variable = variable or "MONOBASE_" + flag.removeprefix("--").replace("-", "_").upper()
    return click.option(flag, *names, envvar=variable, show_envvar=True, show_default=True, **settings)


def enter_working_directory() -> None:
    """Go where `bazel run` was started: what a person gives, in flags or variables, is relative to that."""
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
    """What an image is called on this machine."""

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
