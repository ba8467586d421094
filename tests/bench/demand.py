"""`bazel run //tests/bench:demand`: the time from a model's `exec` to its `import torch` on a node on demand.

A real daemon runs with `--on-demand`, and models start through the runtime's `exec` with `MONOBASE_WAIT_S`.
The node has nothing, then an environment that shares files with the one that is asked for, then the
environment itself. With the synthetic generation, ten models ask for ten environments at once.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from daemon.prefix.usage import disk_bytes
from gens.catalog import Catalog, load_catalog
from gens.generation import Environment
from runtime.shells import EXEC, SYSTEM_PATH
from tests.index.client import uv_environment
from tests.index.server import LocalIndex
from tests.synthetic.catalog import PYTHON_FULL
from tests.synthetic.torch_generation import write_torch_generation

_REAL = ("g00002/python3.11-torch2.13.0-cu130", "g00003/python3.11-torch2.13.0-cu130")
_REAL_DISK_BYTES = 15_000_000_000
_AT_ONCE = 10
_ROUNDS = 5
_PATIENCE_S = 3600
_IMPORT = "import time, torch; print(time.monotonic(), torch.__file__)"


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        what: What the node had, and what was asked for.
        seconds: From the start of `exec` to the end of `import torch`.
        detail: The stages of the install.
    """

    what: str
    seconds: float
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """An environment that a model asks for.

    Attributes:
        generation: Name of its generation.
        cell: The environment.
    """

    generation: str
    cell: Environment

    def variables(self, prefix: Path) -> dict[str, str]:
        """Return the variables of the model."""
        return {
            "PATH": SYSTEM_PATH,
            "HOME": str(prefix.parent),
            "MONOBASE_PREFIX": str(prefix),
            "MONOBASE_GEN_ID": str(int(self.generation[1:])),
            "PYTHON_VERSION": self.cell.python,
            "TORCH_VERSION": f"{self.cell.torch}+{self.cell.build}",
            "MONOBASE_WAIT_S": str(_PATIENCE_S),
            "MONOBASE_LEASE": "1",
            "MONOBASE_FIT": "off",
        }


@dataclass(slots=True)
class DemandNode:
    """A node with a daemon on demand.

    Attributes:
        prefix: Its prefix.
        log: The log of the daemon, an object a line.
    """

    prefix: Path
    log: Path
    read: int = 0

    def stages(self) -> str:
        """Return the stages that the log has since the last call, with their seconds."""
        entries = [json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{")]
        found: dict[str, float] = {}
        for entry in entries[self.read :]:
            if "stage" in entry:
                found[entry["stage"]] = found.get(entry["stage"], 0) + entry["seconds"]
        self.read = len(entries)
        return ", ".join(f"{name} {seconds:.1f}" for name, seconds in found.items() if seconds >= 0.05)

    def start(self, asked: Asked) -> "subprocess.Popen[str]":
        """Start a model that prints when it has imported torch."""
        return subprocess.Popen(
            [str(EXEC), "python", "-c", _IMPORT], env=asked.variables(self.prefix), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def seconds(self, began_s: float, model: "subprocess.Popen[str]") -> float:
        """Wait for a model; return the seconds until it had imported torch."""
        stdout, stderr = model.communicate()
        if model.returncode != 0:
            raise click.ClickException(f"{stderr}\n{self.log.read_text()}")
        ended_s, file = stdout.split(maxsplit=1)
        if not file.startswith(str(self.prefix)):
            raise click.ClickException(f"torch came from {file}")
        return float(ended_s) - began_s

    def ask(self, asked: Asked) -> float:
        """Start a model; return the seconds until it had imported torch."""
        began_s = time.monotonic()
        return self.seconds(began_s, self.start(asked))


@contextmanager
def running(directory: Path, gens: Path, variables: dict[str, str]) -> Iterator[DemandNode]:
    """Run a daemon on demand on an empty prefix, until the end of the block."""
    directory.mkdir(parents=True)
    node = DemandNode(directory / "prefix", directory / "log")
    with node.log.open("wb") as stream:
        daemon = subprocess.Popen(
            [
                sys.executable, "-m", "daemon.main", "run", "--on-demand", "--prefix", node.prefix,
                "--gens", gens, "--listen", "off", "--log-format", "json", "--no-python-downloads",
            ],
            env=variables, stdout=subprocess.DEVNULL, stderr=stream,
        )  # fmt: skip
    try:
        while "ready" not in [
            json.loads(line).get("message") for line in node.log.read_text().splitlines() if line[:1] == "{"
        ]:
            if daemon.poll() is not None:
                raise click.ClickException(node.log.read_text())
            time.sleep(0.1)
        yield node
    finally:
        daemon.kill()
        daemon.wait()


def measure(node: DemandNode, first: Asked, sibling: Asked) -> list[Row]:
    """Measure an empty node, one that has a sibling, and a warm one."""
    rows = [Row("nothing", node.ask(first), node.stages())]
    rows.append(Row("an environment that shares files", node.ask(sibling), node.stages()))
    warm = [node.ask(sibling) for _ in range(_ROUNDS)]
    rows.append(Row("the environment itself", statistics.median(warm), f"median of {_ROUNDS}"))
    return rows


def measure_many(node: DemandNode, asked: Sequence[Asked]) -> list[Row]:
    """Measure models that ask for different environments at once."""
    with ExitStack() as stack:
        began_s = time.monotonic()
        models = [stack.enter_context(node.start(item)) for item in asked]
        seconds = sorted(node.seconds(began_s, model) for model in models)
    detail = node.stages()
    return [
        Row(f"nothing, {len(asked)} ask at once: the first", seconds[0]),
        Row(f"nothing, {len(asked)} ask at once: the last", seconds[-1], detail),
    ]


@click.command()
@click.option("--synthetic/--no-synthetic", default=True, help="The synthetic generation.")
@click.option(
    "--real/--no-real", default=False, help="Also a real Torch of two generations: 3 GB, 10 on the disk."
)
@click.option("--gens", type=click.Path(path_type=Path), help="Definitions and locks of real generations.")
@click.option(
    "--directory", type=click.Path(path_type=Path), help="Where to work; needs hard links and room."
)
def main(synthetic: bool, real: bool, gens: Path | None, directory: Path | None) -> None:
    """Measure the time from `exec` to `import torch` on a node on demand."""
    console = Console(width=118)
    with tempfile.TemporaryDirectory(prefix="monobase-bench-", dir=directory) as folder:
        if synthetic:
            _synthetic(console, Path(folder) / "synthetic")
        if real:
            _real(console, Path(folder) / "real", gens)


def _synthetic(console: Console, directory: Path) -> None:
    with LocalIndex(directory / "index") as index:
        gens = directory / "gens"
        generation = write_torch_generation(index, gens, [PYTHON_FULL], _AT_ONCE)
        asked = [Asked(generation.directory_name, cell) for cell in generation.environments]
        variables = _variables(uv_environment(index, directory))
        with running(directory / "one", gens, variables) as node:
            rows = measure(node, asked[0], asked[1])
            size = disk_bytes(node.prefix)
        with running(directory / "many", gens, variables) as node:
            rows += measure_many(node, asked)
    _print(console, f"synthetic, Python {PYTHON_FULL}; the first two take {size / 1e6:.0f} MB", rows)


def _real(console: Console, directory: Path, gens: Path | None) -> None:
    directory.mkdir()
    room = os.statvfs(directory)
    if room.f_bavail * room.f_frsize < _REAL_DISK_BYTES:
        console.print(f"real: skipped, {directory} has less than {_REAL_DISK_BYTES / 1e9:.0f} GB free")
        return
    catalog = load_catalog(gens)
    first, sibling = (_find(catalog, label) for label in _REAL)
    with running(directory / "one", Path(catalog.locks_directory), _variables(dict(os.environ))) as node:
        rows = measure(node, first, sibling)
        size = disk_bytes(node.prefix)
    title = f"{_REAL[0]}, then {_REAL[1]}; both take {size / 1e9:.2f} GB with uv's cache"
    _print(console, title, rows)


def _find(catalog: Catalog, label: str) -> Asked:
    generation, _, name = label.partition("/")
    for item in catalog.generations:
        for cell in item.environments:
            if (item.directory_name, cell.name) == (generation, name):
                return Asked(generation, cell)
    raise click.ClickException(f"{label}: the catalog does not have it")


def _variables(variables: dict[str, str]) -> dict[str, str]:
    kept = {
        name: value
        for name, value in variables.items()
        if name not in {"UV_CACHE_DIR", "UV_PYTHON_INSTALL_DIR"}
    }
    kept["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    kept["PATH"] = f"{Path(sys.base_prefix) / 'bin'}{os.pathsep}{kept['PATH']}"
    return kept


def _print(console: Console, title: str, rows: Sequence[Row]) -> None:
    table = Table(
        "the node has",
        "exec to import torch",
        "stages of the install, in s",
        title=title,
        title_justify="left",
    )
    for row in rows:
        table.add_row(row.what, f"{row.seconds:.2f} s", row.detail)
    console.print(table)


if __name__ == "__main__":
    main()
