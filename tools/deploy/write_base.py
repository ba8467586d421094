"""Writes a base with the digests of the images that Bazel built: the action of defs.bzl."""

import shutil
from pathlib import Path

import click

from gens.command import MonobaseCommand
from image.oci.image_index import read_content
from tools.deploy.base import FILE_NAME, Image, pinned

_PATH = click.Path(path_type=Path)


@click.command(cls=MonobaseCommand)
@click.argument("output", type=_PATH)
@click.option("--file", "files", type=_PATH, multiple=True, help="A file of the base.")
@click.option(
    "--image", "images", type=(str, _PATH), multiple=True, help="Name in manifests, and OCI layout."
)
@click.option("--registry", help="Registry that clusters pull from; empty if an overlay sets it.")
def main(output: Path, files: tuple[Path, ...], images: tuple[tuple[str, Path], ...], registry: str) -> None:
    """Write the base FILES into OUTPUT, with the digests of the images."""
    found = [Image(name, read_content(directory).root.digest) for name, directory in images]
    if registry:
        found = [image.in_registry(registry) for image in found]
    output.mkdir(parents=True, exist_ok=True)
    for file in files:
        if file.name == FILE_NAME:
            (output / FILE_NAME).write_text(pinned(file.read_text(), found))
        else:
            shutil.copyfile(file, output / file.name)


if __name__ == "__main__":
    main()
