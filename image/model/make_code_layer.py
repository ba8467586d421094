"""Makes the layer of a model's files: a Bazel action."""

from pathlib import Path

import click

from gens.command import MonobaseCommand
from image.errors import ImageError
from image.model.code_layer import write_code_layer
from image.oci.layer import format_layer

_PATH = click.Path(path_type=Path)


@click.command(cls=MonobaseCommand)
@click.option("--blob", type=_PATH, required=True, help="Layer to write.")
@click.option("--facts", type=_PATH, required=True, help="Its digests and sizes to write.")
@click.option("--folder", required=True, help="Folder of the files in the image.")
@click.option(
    "--file", "files", type=(str, _PATH), multiple=True, help="Path below the folder, and the file."
)
def main(blob: Path, facts: Path, folder: str, files: tuple[tuple[str, Path], ...]) -> None:
    """Write a layer of files."""
    found: dict[str, Path] = {}
    for name, path in files:
        other = found.setdefault(name, path)
        if other != path:
            raise ImageError(f"{folder}/{name}: is two files of the model: {other} and {path}; leave one out")
    facts.write_text(format_layer(write_code_layer(blob, folder, found)))


if __name__ == "__main__":
    main()
