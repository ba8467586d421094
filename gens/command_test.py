import click
import pytest
from click.testing import CliRunner

from gens import command
from gens.command import MonobaseCommand
from gens.version import Version


@click.command(cls=MonobaseCommand)
@click.option("--needed", required=True)
def example(needed: str) -> None:
    click.echo(needed)


def test_every_command_tells_its_version_whatever_else_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "read_version", lambda: Version("1.2.0", "3f90b29c"))
    done = CliRunner().invoke(example, ["--version"])
    assert (done.exit_code, done.output) == (0, "monobase 1.2.0 (revision 3f90b29c)\n")


def test_a_command_that_is_not_asked_for_its_version_runs() -> None:
    assert CliRunner().invoke(example, ["--needed", "x"]).output == "x\n"
