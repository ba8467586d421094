"""Makes the layers of a baked environment: a Bazel action."""

import tempfile
from pathlib import Path

import click

from gens.command import MonobaseCommand
from image.baked.baked_layers import write_baked_layers
from image.baked.installation import Sources
from image.model.baked_environment import parse_baked

_PATH = click.Path(path_type=Path)


@click.command(cls=MonobaseCommand)
@click.option("--environment", type=_PATH, required=True, help="Description of the environment.")
@click.option("--installer", type=_PATH, required=True, help="The program of //daemon.")
@click.option("--gens", type=_PATH, help="Folder of definitions and locks instead of the installer's.")
@click.option("--python", "interpreter", type=_PATH, multiple=True, help="A file of the interpreter.")
@click.option("--output", type=_PATH, required=True, help="Folder to write the layers to.")
@click.argument("wheels", type=_PATH, nargs=-1)
def main(
    environment: Path,
    installer: Path,
    gens: Path | None,
    interpreter: tuple[Path, ...],
    output: Path,
    wheels: tuple[Path, ...],
) -> None:
    """Install the environment from WHEELS, and write it as layers of an image."""
    baked = parse_baked(environment.read_bytes(), environment)
    # Beside the output, since /tmp may be a small file system in memory.
    with tempfile.TemporaryDirectory(dir=output.absolute().parent) as scratch:
        write_baked_layers(baked, Sources(installer, wheels, interpreter, gens), Path(scratch), output)


if __name__ == "__main__":
    main()
