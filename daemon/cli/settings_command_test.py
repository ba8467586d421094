"""Commands made of dataclasses."""

from dataclasses import dataclass
from typing import Annotated

import click
import pytest
from click.testing import CliRunner, Result

from daemon.cli.settings_command import command, option


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inner:
    how_many: Annotated[int | None, option("A number.", type=int)]
    is_used: Annotated[bool, option("A flag.", flag="--used/--not-used", default=True)]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Settings:
    first: Annotated[str, option("The first.", default="a")]
    inner: _Inner
    as_json: Annotated[bool, option("A form.", flag="--json", has_variable=False)]


def _invoke(*arguments: str, **variables: str) -> tuple[Result, list[_Settings]]:
    group = click.Group()
    received: list[_Settings] = []

    @command(group, _Settings)
    def work(settings: _Settings) -> None:
        """Do something."""
        received.append(settings)

    return CliRunner().invoke(group, ["work", *arguments], env=variables), received


def test_each_field_is_an_option_with_its_default() -> None:
    _, received = _invoke()
    assert received == [
        _Settings(first="a", inner=_Inner(how_many=None, is_used=True), as_json=False),
    ]
    _, received = _invoke("--first=b", "--how-many=3", "--not-used", "--json")
    assert received == [_Settings(first="b", inner=_Inner(how_many=3, is_used=False), as_json=True)]


def test_each_option_is_a_variable_as_well_unless_told_otherwise() -> None:
    _, received = _invoke(MONOBASE_HOW_MANY="4", MONOBASE_USED="0", MONOBASE_JSON="1")
    assert received == [_Settings(first="a", inner=_Inner(how_many=4, is_used=False), as_json=False)]


def test_help_has_the_options_in_the_order_of_the_fields() -> None:
    done, received = _invoke("--help")
    assert received == []
    assert "Do something." in done.output
    places = [done.output.index(text) for text in ("--first", "--how-many", "--used / --not-used", "--json")]
    assert places == sorted(places)
    assert "[env var: MONOBASE_FIRST; default: a]" in " ".join(done.output.split())


@pytest.mark.parametrize("argument", ["--how-many=x", "--unknown"])
def test_a_wrong_value_or_option_is_refused(argument: str) -> None:
    done, received = _invoke(argument)
    assert (done.exit_code, received) == (2, [])
