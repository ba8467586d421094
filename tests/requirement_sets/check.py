"""`bazel run //tests/requirement_sets:check`: real requirement sets, locked, installed and imported.

Each set is locked against an environment, installed as a layer, and imported in a container of the runtime
(podman), with a read-only root as uid 1000, without a network, against a prefix that has the environment:

    bazel run //daemon -- install --prefix ~/m --min-gen-id 3 --only '*3.11-torch2.13.0-*' --only cuda13.0
    bazel run //tests/requirement_sets:check -- --prefix ~/m

The last one is a CUDA extension, which the builder's image compiles against the environment and its toolkit.
It downloads about 1 GB of wheels in all, and removes each layer after its import. It exits with 1 where a set
is not as it must be.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from gens.command import MonobaseCommand
from image.oci.layout import read_layout
from layers.lock import read_layer_lock
from tests.requirement_sets.containers import Containers, containers
from tests.requirement_sets.requirement_sets import CUDA_EXTENSION, REQUIREMENT_SETS, RequirementSet

_PATH = click.Path(path_type=Path)
_PREFIX = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "monobase"
_LAYER = "/opt/venv"
_WIDE = 160
_SHOWN = 2000


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one set.

    Attributes:
        name: The set.
        failure: What went wrong; empty if nothing did.
        packages: Wheels of the layer; None for a set that conflicts.
        download_bytes: Size of these wheels.
        layer_bytes: Size of the layer's files.
        lock_s: Seconds to lock.
        install_s: Seconds to install.
        import_s: Seconds from the container's start to the end of the imports, the first time.
        message: What the lock printed, for a set that conflicts.
    """

    name: str
    failure: str = ""
    packages: int | None = None
    download_bytes: int = 0
    layer_bytes: int = 0
    lock_s: float = 0.0
    install_s: float = 0.0
    import_s: float = 0.0
    message: str = ""


@dataclass(frozen=True, slots=True)
class Base:
    """The environment that all sets are added to.

    Attributes:
        generation_id: Its generation.
        environment: Its name.
        prefix: A prefix that has it.
        gens: Folder of definitions and locks; None for the built-in ones.
    """

    generation_id: int
    environment: str
    prefix: Path
    gens: Path | None

    @property
    def python(self) -> Path:
        """The interpreter of the environment."""
        return self.prefix / "monobase" / f"g{self.generation_id:05}" / self.environment / "bin" / "python"

    @property
    def variables(self) -> dict[str, str]:
        """The variables of a model that uses it."""
        python, torch, build = self.environment.split("-")
        return {
            "MONOBASE_PREFIX": str(self.prefix), "MONOBASE_GEN_ID": str(self.generation_id),
            "PYTHON_VERSION": python.removeprefix("python"),
            "TORCH_VERSION": f"{torch.removeprefix('torch')}+{build}",
            "MONOBASE_LOG_LEVEL": "error",
        }  # fmt: skip


@click.command(cls=MonobaseCommand)
@click.argument("runtime", type=_PATH)
@click.option(
    "--gen", "generation_id", type=int, default=3, show_default=True, help="Generation of the base."
)
@click.option(
    "--env",
    "environment",
    default="python3.11-torch2.13.0-cu130",
    show_default=True,
    help="The base, with Torch.",
)
@click.option("--prefix", type=_PATH, default=_PREFIX, show_default=True, help="A prefix that has it.")
@click.option("--gens", type=_PATH, help="Folder of definitions and locks instead of the built-in ones.")
@click.option(
    "--builder",
    type=_PATH,
    help="Layout of the builder's image: compiles a CUDA extension, too; the prefix needs the toolkit.",
)
@click.option(
    "--bind",
    "binds",
    multiple=True,
    metavar="PATH[:TARGET]",
    help="A file that the prefix's interpreter needs beside itself, and where; repeatable.",
)
@click.option("--only", multiple=True, help="Names of sets; may be repeated.")
def main(
    *, runtime: Path, generation_id: int, environment: str, prefix: Path, gens: Path | None,
    builder: Path | None, binds: tuple[str, ...], only: tuple[str, ...],
) -> None:  # fmt: skip
    """Check real requirement sets; the Bazel target passes RUNTIME, the layout of the runtime's image."""
    layout = read_layout(runtime.absolute())
    layout_of_builder = None if builder is None else read_layout(builder.absolute())
    project = Path(CUDA_EXTENSION.build).absolute()
    os.chdir(os.environ.get("BUILD_WORKING_DIRECTORY", "."))
    base = Base(generation_id, environment, prefix.absolute(), None if gens is None else gens.absolute())
    pairs = [text.partition(":")[::2] for text in binds]
    mounts = {target or source: Path(source) for source, target in pairs} | {str(base.prefix): base.prefix}
    every = (*REQUIREMENT_SETS, *(() if builder is None else (replace(CUDA_EXTENSION, build=str(project)),)))
    sets = [item for item in every if not only or item.name in only]
    outcomes = []
    with _scratch() as scratch, containers(layout, layout_of_builder, mounts) as found:
        for item in sets:
            outcome = _check(item, base, scratch / "set", found)
            click.echo(f"{item.name}: {outcome.failure or 'as it must be'}", err=True)
            outcomes.append(outcome)
            shutil.rmtree(scratch / "set", ignore_errors=True)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _WIDE)
    console.print(_table(base, outcomes))
    for outcome in outcomes:
        if outcome.message:
            click.echo(f"{outcome.name}:\n{outcome.message}")
    sys.exit(1 if any(item.failure for item in outcomes) else 0)


def _check(item: RequirementSet, base: Base, folder: Path, found: Containers) -> Outcome:
    folder.mkdir()
    requirements, lock, layer = folder / "requirements.in", folder / "model.lock", folder / "venv"
    requirements.write_text("".join(f"{line}\n" for line in item.requirements))
    gens = [] if base.gens is None else ["--definitions", str(base.gens), "--locks", str(base.gens)]
    began = time.monotonic()
    done = _module(
        "tools.layer.cli", "lock", str(requirements), "--gen", str(base.generation_id),
        "--env", base.environment, *gens, *item.options, "-o", str(lock),
    )  # fmt: skip
    lock_s = time.monotonic() - began
    if item.conflict:
        wrong = done.returncode == 0 or item.conflict not in done.stderr
        failure = "no conflict was found" if wrong else ""
        return Outcome(item.name, failure, lock_s=lock_s, message=done.stderr.strip())
    if done.returncode != 0:
        return Outcome(item.name, f"lock: {_end(done)}", lock_s=lock_s)
    locked = read_layer_lock(lock)
    began = time.monotonic()
    done = _install(item, base, folder, found)
    install_s = time.monotonic() - began
    if done.returncode != 0:
        return Outcome(item.name, f"install: {_end(done)}", len(locked.wheels), locked.size_bytes)
    began = time.monotonic()
    done = found.run(
        ["python", "-c", f"import torch\n{item.code}\nprint('imported')"],
        {**base.variables, "MONOBASE_USER_VENV": _LAYER}, layer,
    )  # fmt: skip
    failure = "" if done.stdout.endswith("imported\n") and done.returncode == 0 else f"import: {_end(done)}"
    return Outcome(
        item.name, failure, len(locked.wheels), locked.size_bytes, _size(layer), lock_s, install_s,
        time.monotonic() - began,
    )  # fmt: skip


def _install(
    item: RequirementSet, base: Base, folder: Path, found: Containers
) -> "subprocess.CompletedProcess[str]":
    """Install the layer of `model.lock` into `venv`: with a project to compile, in the builder."""
    lock, layer = folder / "model.lock", folder / "venv"
    words = ["install", str(lock), "--to", str(layer), "--prefix", str(base.prefix)]
    if not item.build:
        return _module("layers.main", *words, "--python", str(base.python))
    project = folder / "project"
    shutil.copytree(item.build, project)
    variables = {"TORCH_CUDA_ARCH_LIST": "9.0"}
    if base.gens is not None:
        shutil.copytree(base.gens, folder / "gens")
        variables["MONOBASE_GENS"] = str(folder / "gens")
    return found.build(["monobase-layer", *words, "--build", str(project)], variables, folder)


def _module(name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    return subprocess.run(
        [sys.executable, "-m", name, *arguments], capture_output=True, text=True, check=False, env=environment
    )


def _end(done: "subprocess.CompletedProcess[str]") -> str:
    return f"exit code {done.returncode}: {(done.stdout + done.stderr)[-_SHOWN:]}"


def _size(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file() and not path.is_symlink())


@contextmanager
def _scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="monobase-sets-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def _table(base: Base, outcomes: Sequence[Outcome]) -> Table:
    title = f"on g{base.generation_id:05}/{base.environment}"
    table = Table("set", title=title, title_justify="left")
    for column in ("packages", "wheels, MB", "layer, MB", "lock, s", "install, s", "import, s"):
        table.add_column(column, justify="right")
    table.add_column("")
    for item in outcomes:
        seconds = [f"{value:.1f}" if value else "" for value in (item.lock_s, item.install_s, item.import_s)]
        sizes = [f"{value / 1e6:.1f}" if value else "" for value in (item.download_bytes, item.layer_bytes)]
        packages = "" if item.packages is None else str(item.packages)
        table.add_row(escape(item.name), packages, *sizes, *seconds, "failed" if item.failure else "ok")
    return table


if __name__ == "__main__":
    main()
