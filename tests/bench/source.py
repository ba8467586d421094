"""`bazel run //tests/bench:source -- --wheels DIR`: a cold install through the sources against one without.

Both installs take the same wheels from the same server on loopback: as an index, which uv reads itself, and
as a source, whose bytes pass through the daemon, which hashes them. They run in turns, each into an empty
prefix; a row is the median of the ratios of pairs. CPU seconds include all processes, but not the server.

`DIR` holds the wheels of the lock by file name (`pip download --no-deps --require-hashes -r LOCK` fills it).
"""

import os
import platform
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from gens.catalog import load_catalog
from tests.bench.wheel_index import wheel_index

_TARGET = 1.05
_FOREIGN_PREFIXES = ("UV_", "PIP_", "MONOBASE_", "VIRTUAL_ENV")


@dataclass(frozen=True, slots=True)
class Run:
    """One install.

    Attributes:
        wall_s: Its time.
        cpu_s: Seconds of the processor, of all its processes.
    """

    wall_s: float
    cpu_s: float


@click.command()
@click.option(
    "--wheels", type=click.Path(path_type=Path, exists=True), required=True, help="Folder of wheels."
)
@click.option("--environment", default="python3.11-torch2.13.0-cu130", show_default=True)
@click.option("--pairs", default=5, show_default=True, help="Runs of each kind.")
@click.option("--gens", type=click.Path(path_type=Path), help="Definitions and locks.")
@click.option("--directory", type=click.Path(path_type=Path), help="Where to work: 8 GB for a Torch.")
def main(wheels: Path, environment: str, pairs: int, gens: Path | None, directory: Path | None) -> None:
    """Compare an install from a source with the same one from an index."""
    catalog = load_catalog(gens).for_machine(platform.machine())
    generation = catalog.generations[-1]
    locks = Path(catalog.locks_directory)
    lock = locks / generation.directory_name / f"{environment}.txt"
    if not lock.exists():
        raise click.UsageError(f"--environment {environment}: {generation.directory_name} does not have it")
    runs: dict[str, list[Run]] = {"straight": [], "sources": []}
    with (
        tempfile.TemporaryDirectory(prefix="monobase-bench-", dir=directory) as folder,
        wheel_index(wheels, [lock]) as url,
    ):
        command = [
            sys.executable, "-m", "daemon.main", "install", "--prefix", f"{folder}/prefix", "--gens",
            str(locks), "--min-gen-id", str(generation.id), "--max-gen-id", str(generation.id),
            "--only", environment, "--no-python-downloads",
        ]  # fmt: skip
        kinds = {"straight": command, "sources": [*command, "--source", url.removesuffix("simple/")]}
        for number in range(pairs):
            for kind in list(kinds)[:: 1 if number % 2 == 0 else -1]:
                run = _measured(kinds[kind], _variables(url), Path(folder))
                runs[kind].append(run)
                load = os.getloadavg()[0]
                click.echo(f"{kind:8} {run.wall_s:6.1f} s, {run.cpu_s:5.1f} CPU s, load {load:.1f}")
    table = Table("measure", "median of ratios", "to reach", "", title=f"sources / straight: {environment}")
    table.add_row(
        *_row("wall", [run.wall_s for run in runs["sources"]], [run.wall_s for run in runs["straight"]])
    )
    table.add_row(
        *_row("CPU", [run.cpu_s for run in runs["sources"]], [run.cpu_s for run in runs["straight"]])
    )
    Console(width=118).print(table, f"load at the end: {os.getloadavg()[0]:.1f}")


def _row(measure: str, ours: list[float], theirs: list[float]) -> tuple[str, str, str, str]:
    ratio = statistics.median(one / other for one, other in zip(ours, theirs, strict=True))
    detail = ", ".join(f"{one:.1f}/{other:.1f}" for one, other in zip(ours, theirs, strict=True))
    return measure, f"{ratio:.3f}", f"≤ {_TARGET}" if measure == "wall" else "", detail


def _measured(command: list[str], variables: dict[str, str], folder: Path) -> Run:
    """Run an install into an empty prefix."""
    shutil.rmtree(folder / "prefix", ignore_errors=True)
    os.sync()
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)
    wall_s = time.monotonic() - began
    if done.returncode != 0:
        raise click.ClickException(f"{' '.join(command)}: {done.stderr[-2000:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Run(wall_s, after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


def _variables(url: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN_PREFIXES)}
    return kept | {
        "UV_DEFAULT_INDEX": url,
        "UV_NO_CONFIG": "1",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PATH": f"{Path(sys.base_prefix) / 'bin'}{os.pathsep}{kept['PATH']}",
    }


if __name__ == "__main__":
    main()
