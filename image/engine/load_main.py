"""`bazel run //daemon:load`: loads an image into podman or Docker. README.md lists the flags."""

import os
from pathlib import Path

import click

from gens.command import MonobaseCommand
from gens.progress import Bar
from image.engine.container_engine import ENGINES, EngineName, find_engine
from image.engine.load import load as load_image
from image.oci.layout import read_layout
from image.oci.options import ImageNameType, enter_working_directory, layout_argument, option


@click.command(cls=MonobaseCommand)
@layout_argument
@option(
    "--engine", type=click.Choice(ENGINES),
    help="The engine.  [default: podman if it is on the PATH, otherwise docker]",
)  # fmt: skip
@option(
    "--tag", "tags", variable="MONOBASE_LOAD_TAG", type=ImageNameType(), multiple=True,
    help="Name of the image in the engine; may be repeated.  [default: the target's]",
)  # fmt: skip
@option(
    "--engine-arg", "engine_args", multiple=True, metavar="ARGUMENT",
    help="Argument before the engine's command, such as --engine-arg=--root=/srv/images; may be repeated.",
)  # fmt: skip
@click.option("--default-tag", type=ImageNameType(), required=True, hidden=True)
def main(
    layout: Path,
    engine: EngineName | None,
    tags: tuple[str, ...],
    engine_args: tuple[str, ...],
    default_tag: str,
) -> None:
    """Load an image into the container engine of this machine, and print its names there."""
    enter_working_directory()
    image = read_layout(layout)
    found = find_engine(engine, engine_args, os.environ.get("PATH"))
    names = tuple(dict.fromkeys(tags)) or (default_tag,)
    total_bytes = sum(blob.size_bytes for blob in {blob.digest: blob for blob in image.blobs}.values())
    with Bar(f"{found.name} load", total_bytes, unit="bytes") as bar:
        loaded = load_image(image, found, names, bar.advance)
    for name in loaded:
        click.echo(name)


if __name__ == "__main__":
    main()
