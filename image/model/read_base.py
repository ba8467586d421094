"""Reads what a model's image must know of its environment: a Bazel action."""

from pathlib import Path

import click

from gens.catalog import load_catalog
from gens.command import MonobaseCommand
from image.architecture import find_architecture
from image.model.base import find_base, refuse_other_base
from image.model.facts import format_facts
from layers.lock import read_layer_lock

_PATH = click.Path(path_type=Path)


@click.command(cls=MonobaseCommand)
@click.option("--architecture", required=True, help="Architecture of the image.")
@click.option(
    "--gen", "generation", default="", help="What the BUILD file says: 3 or g00003; empty for nothing."
)
@click.option("--environment", default="", help="What the BUILD file says; empty for nothing.")
@click.option("--gens", type=_PATH, help="Folder of definitions and locks instead of the built-in ones.")
@click.option("--output", type=_PATH, required=True, help="File of facts to write.")
@click.argument("lock", type=_PATH)
def main(
    architecture: str, generation: str, environment: str, gens: Path | None, output: Path, lock: Path
) -> None:
    """Check LOCK against the generations, and write the facts of its base."""
    found = read_layer_lock(lock)
    refuse_other_base(found, lock, generation, environment)
    output.write_text(
        format_facts(find_base(found, lock, load_catalog(gens), find_architecture(architecture)))
    )


if __name__ == "__main__":
    main()
