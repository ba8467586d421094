"""Describes the environment of an image: a Bazel action."""

from pathlib import Path

import click

from gens.catalog import load_catalog
from gens.command import MonobaseCommand
from image.architecture import find_architecture
from image.model.baked_environment import find_baked, format_baked

_PATH = click.Path(path_type=Path)


@click.command(cls=MonobaseCommand)
@click.option("--architecture", required=True, help="Architecture of the image.")
@click.option("--gen", "generation", type=int, required=True, help="ID of the generation.")
@click.option("--environment", required=True, help="Name of the environment.")
@click.option("--toolkit", "toolkits", multiple=True, help="Name of a toolkit; may be repeated.")
@click.option("--gens", type=_PATH, help="Folder of definitions and locks instead of the built-in ones.")
@click.option("--output", type=_PATH, required=True, help="Description to write.")
def main(
    architecture: str,
    generation: int,
    environment: str,
    toolkits: tuple[str, ...],
    gens: Path | None,
    output: Path,
) -> None:
    """Write the description of an environment, with its toolkits, by the locks of its generation."""
    catalog = load_catalog(gens)
    found = find_baked(catalog, find_architecture(architecture), generation, environment, toolkits)
    output.write_text(format_baked(found))


if __name__ == "__main__":
    main()
