"""`bazel run //team/model:NAME.run`: runs a model on this machine. runtime/README.md describes it."""

import json
import os
import sys
from pathlib import Path

import click
import msgspec

from gens.command import MonobaseCommand
from image.model.derived_image import DerivedSettings
from image.model.facts import read_facts
from image.model.model_settings import model_settings
from image.model.run_model import Model, run_model, user_cache
from layers.install import DEFAULT_PREFIX
from layers.lock import read_layer_lock

_PATH = click.Path(path_type=Path)


@click.command(cls=MonobaseCommand, context_settings={"allow_interspersed_args": False})
@click.option("--parts", "parts_path", type=_PATH, required=True, hidden=True)
@click.option("--exec", "program", type=_PATH, required=True, hidden=True)
@click.option(
    "--prefix", type=_PATH, default=DEFAULT_PREFIX, show_default=True, envvar="MONOBASE_PREFIX",
    show_envvar=True, help="The prefix with the model's environment.",
)  # fmt: skip
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def main(parts_path: Path, program: Path, prefix: Path, command: tuple[str, ...]) -> None:
    """Run the model, or COMMAND in its place, as in its container: activated, with its layer and its code."""
    model = _read(parts_path)
    start = Path(os.environ.get("BUILD_WORKING_DIRECTORY", "."))
    sys.exit(run_model(model, (start / prefix).absolute(), user_cache(os.environ), command, program))


def _read(parts_path: Path) -> Model:
    """Read the list of files that `weightless_model` writes: their paths below the folder of runfiles."""
    parts = json.loads(parts_path.read_text())
    facts = read_facts(Path(parts["facts"]))
    given = msgspec.convert(json.loads(Path(parts["settings"]).read_text()), DerivedSettings)
    return Model(
        facts,
        model_settings(facts, given, facts.environment),
        read_layer_lock(Path(parts["lock"])),
        tuple(wheel for path in parts["wheels"] for wheel in _wheels(Path(path).absolute())),
        tuple(Path(path).absolute() for path in parts["files"]),
    )


def _wheels(path: Path) -> list[Path]:
    """Return a wheel, or those of a folder that an action has made."""
    return sorted(path.glob("*.whl")) if path.is_dir() else [path]


if __name__ == "__main__":
    main()
