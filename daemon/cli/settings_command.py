"""Turns a dataclass of settings into a command: each field is an option and an environment variable.

A field is written `name: Annotated[type, option(...)]`. A field that is itself a dataclass stands for all
options of that class, in their order.
"""

import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any, TypeVar, get_args

import click

S = TypeVar("S")


@dataclass(frozen=True, slots=True)
class _Option:
    flag: str
    has_variable: bool
    variable: str
    attributes: Mapping[str, Any]

    def make(self, name: str, value_type: object) -> click.Option:
        """Return the option of the field with a name and a type."""
        flag = self.flag or f"--{name.replace('_', '-')}"
        attributes = dict(self.attributes)
        if value_type is bool and "/" not in flag:
            attributes["is_flag"] = True
        if self.has_variable:
            words = self.variable or flag.split("/", maxsplit=1)[0].removeprefix("--")
            variable = words.replace("-", "_").upper()
            attributes |= {"envvar": f"MONOBASE_{variable}", "show_envvar": True, "show_default": True}
        return click.Option([flag, name], **attributes)


def option(
    help_text: str,
    value_type: click.ParamType[Any] | None = None,
    *,
    flag: str = "",
    has_variable: bool = True,
    variable: str = "",
    **attributes: Any,  # noqa: ANN401 (click's own)
) -> _Option:
    """Describe the option of a field.

    Args:
        help_text: What `--help` prints for it.
        value_type: How its value is parsed; None for text or a flag.
        flag: The option; by default `--min-gen-id` for `min_gen_id`.
        has_variable: Whether an environment variable sets it as well: `MONOBASE_MIN_GEN_ID`.
        variable: What follows `MONOBASE_` in the variable's name; by default that of the option.
        **attributes: Further arguments of `click.Option`.
    """
    return _Option(flag, has_variable, variable, {"help": help_text, "type": value_type, **attributes})


def command(
    group: click.Group, settings: type[S], cls: type[click.Command] = click.Command
) -> Callable[[Callable[[S], None]], click.Command]:
    """Return a decorator that makes a command of a function whose one argument is its settings.

    Args:
        group: The group that the command belongs to.
        settings: The class of the settings.
        cls: The class of the command.
    """

    def declare(work: Callable[[S], None]) -> click.Command:
        @functools.wraps(work)
        def call(**values: Any) -> None:  # noqa: ANN401 (click's own type)
            work(_fill(settings, values))

        made: click.Command = group.command(cls=cls, params=list(_options(settings)))(call)
        return made

    return declare


def _options(settings: Any) -> Iterator[click.Parameter]:  # noqa: ANN401 (a class of any type)
    for item in fields(settings):
        if is_dataclass(item.type):
            yield from _options(item.type)
        else:
            value_type, described = get_args(item.type)
            yield described.make(item.name, value_type)


def _fill(settings: Any, values: Mapping[str, Any]) -> Any:  # noqa: ANN401 (a class of any type)
    return settings(
        **{
            item.name: _fill(item.type, values) if is_dataclass(item.type) else values[item.name]
            for item in fields(settings)
        }
    )
