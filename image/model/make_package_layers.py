"""Makes the layers of a model's packages: a Bazel action."""

import os
import sys
import tempfile
from pathlib import Path

import click

from gens.command import MonobaseCommand
from image.model.model_settings import LAYER_FOLDER
from image.model.package_layers import Place, write_package_layers
from layers.install import DEFAULT_PREFIX
from layers.lock import read_layer_lock

_PATH = click.Path(path_type=Path)


@click.command(cls=MonobaseCommand)
@click.option("--lock", "lock_path", type=_PATH, required=True, help="The layer lock.")
@click.option("--prefix", type=_PATH, default=DEFAULT_PREFIX, help="The prefix of the nodes.")
@click.option("--python", type=_PATH, help="An interpreter to compile the packages with.")
@click.option("--output", type=_PATH, required=True, help="Folder to write the layers to.")
@click.argument("wheels", type=_PATH, nargs=-1)
def main(lock_path: Path, prefix: Path, python: Path | None, output: Path, wheels: tuple[Path, ...]) -> None:
    """Install WHEELS, and write them as layers of an image."""
    lock = read_layer_lock(lock_path)
    if python is None and f"{sys.version_info[0]}.{sys.version_info[1]}" == lock.python:
        python = Path(sys.executable)
    python = None if python is None else python.absolute()
    with tempfile.TemporaryDirectory() as scratch:
        # Only the interpreter of the build compiles, not one that this machine happens to have. uv is that of
        # the lock of Python dependencies, and its cache serves this action only.
        os.environ["PATH"] = ""
        os.environ["HOME"] = scratch
        place = Place(LAYER_FOLDER, prefix, python)
        write_package_layers(lock, lock_path, wheels, place, Path(scratch), output)


if __name__ == "__main__":
    main()
