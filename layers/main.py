"""The command `monobase-layer`: installs a layer from its lock."""

from pathlib import Path

import click

from gens.command import MonobaseCommand
from layers.install import DEFAULT_PREFIX, LayerOptions, install_layer
from layers.lock import read_layer_lock, wheels_directory
from layers.uv import WheelSources

_FILE = click.Path(dir_okay=False, path_type=Path)
_FOLDER = click.Path(file_okay=False, path_type=Path)


@click.group()
def main() -> None:
    """Make layers: a model's own packages on top of an environment of Monobase."""


@main.command(cls=MonobaseCommand)
@click.argument("lock", type=_FILE)
@click.option(
    "--to", type=_FOLDER, required=True, help="The layer's folder: absent, empty, or another layer."
)
@click.option(
    "--wheels",
    "folders",
    type=_FOLDER,
    multiple=True,
    help="A folder with wheels, which come first; repeatable.",
)
@click.option("--offline", is_flag=True, help="Use --wheels, the folder beside LOCK and uv's cache only.")
@click.option(
    "--index-url", help="An index in place of the lock's. (uv's variables give it a user and a password.)"
)
@click.option(
    "--prefix",
    type=_FOLDER,
    default=DEFAULT_PREFIX,
    show_default=True,
    help="The prefix of the nodes, which need not be here.",
)
@click.option("--python", type=_FILE, help="The Python to compile with, of the environment's minor version.")
def install(
    lock: Path,
    to: Path,
    folders: tuple[Path, ...],
    offline: bool,
    index_url: str | None,
    prefix: Path,
    python: Path | None,
) -> None:
    """Install the layer of LOCK, such as model.lock.

    The wheels come from --wheels, from the folder beside LOCK (model.wheels), and from an index, each by its
    hash.
    """
    if not prefix.is_absolute():
        raise click.UsageError(f"--prefix {prefix}: is not absolute; name the path on the nodes")
    options = LayerOptions(
        prefix=prefix,
        sources=WheelSources(folders, index_url, offline),
        built=wheels_directory(lock),
        python=python,
        warn=lambda text: click.echo(f"warning: {text}", err=True),
    )
    made = install_layer(read_layer_lock(lock), to, options)
    click.echo(
        f"{made.path}: {made.wheels} wheels, {made.size_bytes:,} bytes, "
        f"{'with' if made.compiled else 'without'} bytecode"
    )


if __name__ == "__main__":
    main(prog_name="monobase-layer")
