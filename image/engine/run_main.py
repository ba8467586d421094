"""`bazel run //runtime:baked_image.run`: runs a command in a container. README.md lists the flags."""

import os
import sys
from pathlib import Path

import click

from gens.command import MonobaseCommand
from image.engine.container_engine import EngineName, find_engine
from image.engine.load import load as load_image
from image.engine.options import engine_options
from image.oci.image_index import ImageIndex, read_content
from image.oci.options import ImageNameType, enter_working_directory, option


@click.command(cls=MonobaseCommand, context_settings={"allow_interspersed_args": False})
@click.option(
    "--image", "layout", type=click.Path(path_type=Path, exists=True, file_okay=False, resolve_path=True),
    required=True, hidden=True,
)  # fmt: skip
@click.option("--default-tag", type=ImageNameType(), required=True, hidden=True)
@engine_options
@option(
    "--run-arg", "run_args", multiple=True, metavar="ARGUMENT",
    help="Argument of the engine's `run`, such as --run-arg=--gpus=all; may be repeated.",
)  # fmt: skip
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def main(
    layout: Path,
    default_tag: str,
    engine: EngineName | None,
    engine_args: tuple[str, ...],
    run_args: tuple[str, ...],
    command: tuple[str, ...],
) -> None:
    """Run COMMAND, or that of the image, in a container that is removed when it ends.

    The image is loaded into the engine, unless this has it already.
    """
    enter_working_directory()
    content = read_content(layout)
    found = find_engine(engine, engine_args, os.environ.get("PATH"))
    image = content.image(found.architecture()) if isinstance(content, ImageIndex) else content
    name = found.full_name(default_tag)
    if found.image_id(name) != image.config.digest:
        name = load_image(image, found, (default_tag,), lambda _: None)[0]
    terminal = ("--tty",) if sys.stdin.isatty() and sys.stdout.isatty() else ()
    words = ["run", "--rm", "--interactive", *terminal, *run_args, name, *command]
    os.execv(found.program, [found.program, *found.arguments, *words])  # noqa: S606 (no shell is needed)


if __name__ == "__main__":
    main()
