"""Makes an OCI layout of images for several architectures: a Bazel action."""

import shutil
from pathlib import Path

import click

from gens.command import MonobaseCommand
from image.oci.image_index import write_index
from image.oci.layout import read_layout

_PATH = click.Path(path_type=Path)


@click.command(cls=MonobaseCommand)
@click.option("--output", type=_PATH, required=True, help="Folder of the layout.")
@click.argument("images", type=_PATH, nargs=-1, required=True)
def main(output: Path, images: tuple[Path, ...]) -> None:
    """Make an index of IMAGES, which are layouts."""
    if output.exists():
        shutil.rmtree(output)
    write_index(output, [read_layout(image) for image in images])


if __name__ == "__main__":
    main()
