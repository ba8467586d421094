"""`bazel run //daemon:load`: loads an image into podman or Docker. README.md lists the flags."""

import os
from pathlib import Path

import click

from gens.command import MonobaseCommand
from gens.progress import Bar
from image.architecture import ARCHITECTURES
from image.engine.container_engine import EngineName, find_engine
from image.engine.load import load as load_image
from image.engine.options import engine_options
from image.oci.image_index import ImageIndex, read_content
from image.oci.options import ImageNameType, enter_working_directory, layout_argument, option


@click.command(cls=MonobaseCommand)
@layout_argument
@engine_options
@option(
    "--tag", "tags", variable="MONOBASE_LOAD_TAG", type=ImageNameType(), multiple=True,
    help="Name of the image in the engine; may be repeated.  [default: the target's]",
)  # fmt: skip
@option(
    "--architecture", type=click.Choice(list(ARCHITECTURES)),
    help="Architecture of the image.  [default: the engine's]",
)  # fmt: skip
@click.option("--default-tag", type=ImageNameType(), required=True, hidden=True)
def main(
    layout: Path,
    engine: EngineName | None,
    tags: tuple[str, ...],
    engine_args: tuple[str, ...],
    architecture: str | None,
    default_tag: str,
) -> None:
    """Load an image into the container engine of this machine, and print its names there.

    Of an image for several architectures, the engine gets the one for its own.
    """
    enter_working_directory()
    content = read_content(layout)
    found = find_engine(engine, engine_args, os.environ.get("PATH"))
    image = (
        content.image(architecture or found.architecture()) if isinstance(content, ImageIndex) else content
    )
    names = tuple(dict.fromkeys(tags)) or (default_tag,)
    total_bytes = sum(blob.size_bytes for blob in {blob.digest: blob for blob in image.blobs}.values())
    with Bar(f"{found.name} load", total_bytes, unit="bytes") as bar:
        loaded = load_image(image, found, names, bar.advance)
    for name in loaded:
        click.echo(name)


if __name__ == "__main__":
    main()
