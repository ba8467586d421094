"""The command `monobase-layer`: installs a layer from its lock."""

import functools
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

import click

from gens.catalog import load_catalog
from gens.command import MonobaseCommand
from layers.base import find_base, provide_base
from layers.compiled_layer import Compilation, install_compiled_layer
from layers.install import DEFAULT_PREFIX, InstalledLayer, LayerOptions, install_layer
from layers.lock import LayerLock, read_layer_lock, wheels_directory
from layers.uv import WheelSources


class _Path(click.Path):
    """A path; an empty one, of a variable that is not set, is not the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 (as in click)
        if value == "":
            self.fail("the path is empty; name one", param, ctx)
        return super().convert(value, param, ctx)


_FILE = _Path(dir_okay=False, path_type=Path)
_FOLDER = _Path(file_okay=False, path_type=Path)
_PLACE = _Path(path_type=Path)


@dataclass(frozen=True, slots=True)
class _OnBase:
    """The use of the base on this machine.

    Attributes:
        asked: Whether the base must be installed.
        compilation: What to compile against it.
        gens: Folder of definitions and locks, or None for those of this release.
    """

    asked: bool
    compilation: Compilation
    gens: Path | None


_BASE_OPTIONS = (
    click.option(
        "--with-base",
        is_flag=True,
        help="Install the environment and its CUDA toolkit in the prefix if they are not there.",
    ),
    click.option(
        "--build",
        "builds",
        multiple=True,
        metavar="SOURCE",
        help="Compile this against the environment: a folder, a source distribution, a Git URL, "
        "NAME==VERSION; repeatable. Includes --with-base.",
    ),
    click.option("--wheel-dir", type=_FOLDER, help="Keep the wheels that --build makes in this folder, too."),
    click.option(
        "--gens",
        type=_FOLDER,
        envvar="MONOBASE_GENS",
        help="Definitions and locks of generations, for --with-base.  [default: those of this release]",
    ),
)


def _on_base(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options about the base, and pass them as `on_base`."""

    @functools.wraps(command)
    def adapted(
        *arguments: Any,  # noqa: ANN401 (as click passes them)
        with_base: bool,
        builds: tuple[str, ...],
        wheel_dir: Path | None,
        gens: Path | None,
        **others: Any,  # noqa: ANN401 (as click passes them)
    ) -> None:
        on_base = _OnBase(with_base or bool(builds), Compilation(builds, wheel_dir), gens)
        command(*arguments, on_base=on_base, **others)

    decorated: Callable[..., None] = adapted
    for option in reversed(_BASE_OPTIONS):
        decorated = option(decorated)
    return decorated


@click.group()
def main() -> None:
    """Make layers: a model's own packages on top of an environment of Monobase."""


@main.command(cls=MonobaseCommand)
@click.argument("lock", type=_FILE)
@click.option("--to", type=_PLACE, required=True, help="The layer's folder: absent, empty, or another layer.")
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
@_on_base
def install(
    lock: Path,
    to: Path,
    folders: tuple[Path, ...],
    offline: bool,
    index_url: str | None,
    prefix: Path,
    python: Path | None,
    on_base: _OnBase,
) -> None:
    """Install the layer of LOCK, such as model.lock.

    The wheels come from --wheels, from the folder beside LOCK (model.wheels), and from an index, each by its
    hash.
    """
    _end_in_order()
    if not prefix.is_absolute():
        raise click.UsageError(f"--prefix {prefix}: is not absolute; name the path on the nodes")
    options = LayerOptions(
        prefix=prefix,
        sources=WheelSources(folders, index_url, offline),
        built=wheels_directory(lock),
        python=python,
        warn=lambda text: click.echo(f"warning: {text}", err=True),
    )
    layer_lock = read_layer_lock(lock)
    if on_base.asked:
        made = _install_on_base(layer_lock, to, options, on_base)
    else:
        made = install_layer(layer_lock, to, options)
    click.echo(
        f"{made.path}: {made.wheels} wheels, {made.size_bytes:,} bytes, "
        f"{'with' if made.compiled else 'without'} bytecode"
    )


def _end_in_order() -> None:
    """Take signals that end a process as an interruption from the keyboard: what was begun is removed."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, interrupt)


def _install_on_base(lock: LayerLock, to: Path, options: LayerOptions, on_base: _OnBase) -> InstalledLayer:
    base = find_base(lock, load_catalog(on_base.gens), options.prefix)
    provide_base(base, on_base.gens)
    return install_compiled_layer(lock, to, options, base, on_base.compilation)


if __name__ == "__main__":
    main(prog_name="monobase-layer")
