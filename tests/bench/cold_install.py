"""`bazel run //tests/bench:cold_install -- --wheels DIR`: cold installs of environments against uv alone.

Both take the same wheels from an index on loopback, each into an empty folder, in turns. A row is the median
of the ratios of pairs. uv installs the environments one after another with a shared cache and
`--compile-bytecode`. CPU seconds include all child processes, but not the index.

`DIR` holds the wheels of the locks by file name (`pip download --no-deps --require-hashes -r LOCK` fills it).
The cases (`--case`, several times; by default all):

- `one`: the first environment;
- `all`: all environments, and when the first of them can be used;
- `asked`: all environments by the service (`run`), while a model waits for the last of them: when that one
  can be used, against an install of it alone;
- `warm`: the first environment again, after its generation was removed; uv, with its cache, in a new folder;
- `limited`: the first environment, from an index that sends `--gbit` Gbit/s.

What a run leaves is only emptied before the next one, and removed at the end of all: ext4 searches for inodes
that were not freed lately, so that each run after a removal of 20,000 files would take up to 10 s more of the
processor.
"""

import ctypes
import fcntl
import os
import platform
import resource
import shutil
import stat
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from daemon.host.tree_walk import walk_files
from daemon.prefix.manifest import MANIFEST_NAME
from gens.catalog import Catalog, load_catalog
from gens.generation import Environment, Generation
from tests.bench.wheel_index import wheel_index
from tests.index.client import uv_binary

_ENVIRONMENTS = ("python3.11-torch2.13.0-cu130", "python3.11-torch2.12.1-cu130")
_CASES = ("one", "all", "asked", "warm", "limited")
_PR_SET_CHILD_SUBREAPER = 36
_POLL_S = 0.02
_BYTES_PER_GBIT = 125_000_000
_FOREIGN_PREFIXES = ("UV_", "PIP_", "MONOBASE_", "VIRTUAL_ENV")


@dataclass(frozen=True, slots=True)
class Run:
    """One run.

    Attributes:
        wall_s: Its time.
        cpu_s: Seconds of the processor, of all its processes.
        first_s: When the first environment could be used.
    """

    wall_s: float
    cpu_s: float
    first_s: float


@dataclass(frozen=True, slots=True)
class Bench:
    """The inputs of one comparison.

    Attributes:
        directory: A folder of its own, empty before each run.
        gens: Definitions and locks.
        catalog: The generations.
        generation: The one that is installed.
        variables: Environment variables of every child.
        ours_variables: Further ones of the daemon alone.
    """

    directory: Path
    gens: Path
    catalog: Catalog
    generation: Generation
    variables: dict[str, str]
    ours_variables: Mapping[str, str] = field(default_factory=dict)

    def ours(self, cells: Sequence[Environment]) -> Run:
        """Install by the daemon's `install`, into an empty prefix."""
        return self._ours(cells, self._empty("ours") / "prefix")

    def ours_again(self, cells: Sequence[Environment]) -> Run:
        """Install what the last run of `ours` has installed, from its cache."""
        prefix = self.directory / "ours" / "prefix"
        shutil.rmtree(prefix / "monobase")
        os.sync()
        return self._ours(cells, prefix)

    def asked(self, cells: Sequence[Environment]) -> Run:
        """Run the service on an empty prefix until the last environment, which a model waits for, came."""
        prefix = self._empty("ours") / "prefix"
        wish = prefix / "monobase" / ".demand" / self.generation.directory_name / cells[-1].name
        wish.parent.mkdir(parents=True)
        wish.touch()
        command = [*self._command("run", cells, prefix), "--listen", "off"]
        with wish.open("rb") as model:
            fcntl.flock(model, fcntl.LOCK_SH)
            return _measured(
                lambda: self._run([command], self._manifest(prefix, cells[-1]), self._variables, ends=True)
            )

    def _ours(self, cells: Sequence[Environment], prefix: Path) -> Run:
        command = self._command("install", cells, prefix)
        return _measured(lambda: self._run([command], self._manifest(prefix, cells[0]), self._variables))

    def _command(self, name: str, cells: Sequence[Environment], prefix: Path) -> list[str]:
        number = str(self.generation.id)
        return [
            sys.executable, "-m", "daemon.main", name, "--prefix", str(prefix), "--gens", str(self.gens),
            "--min-gen-id", number, "--max-gen-id", number, "--no-python-downloads",
            *(word for cell in cells for word in ("--only", cell.name)),
        ]  # fmt: skip

    def _manifest(self, prefix: Path, cell: Environment) -> Path:
        return prefix / "monobase" / self.generation.directory_name / cell.name / MANIFEST_NAME

    @property
    def _variables(self) -> dict[str, str]:
        return self.variables | dict(self.ours_variables)

    def uv(self, cells: Sequence[Environment]) -> Run:
        """Install by uv with an empty cache, one environment after another."""
        return self._uv(cells, self._empty("uv"))

    def uv_again(self, cells: Sequence[Environment]) -> Run:
        """Install what the last run of `uv` has installed, from its cache."""
        folder = self.directory / "uv"
        for cell in cells:
            shutil.rmtree(folder / cell.name)
        os.sync()
        return self._uv(cells, folder)

    def _uv(self, cells: Sequence[Environment], folder: Path) -> Run:
        variables = self.variables | {"UV_CACHE_DIR": str(folder / "cache")}
        variables.pop("PYTHONPATH")  # it names the libraries of this very Python
        commands = []
        for cell in cells:
            requirements = folder / f"{cell.name}.txt"
            wheels = self.catalog.lock(self.generation, cell).wheels
            requirements.write_text(
                "".join(f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n" for wheel in wheels)
            )
            tree = str(folder / cell.name)
            commands += [
                [uv_binary(), "venv", "--python", f"python{cell.python}", tree],
                [uv_binary(), "pip", "install", "--python", tree, "--compile-bytecode", "--no-deps",
                 "--require-hashes", "-r", str(requirements)],
            ]  # fmt: skip
        return _measured(lambda: self._run(commands, None, variables))

    def _empty(self, name: str) -> Path:
        """Empty what the last run left, and wait for the disk, so that no run pays for another one."""
        if self.directory.exists():
            spent = self.directory.with_name("spent") / str(time.monotonic_ns())
            spent.parent.mkdir(exist_ok=True)
            self.directory.rename(spent)
            for path, status in walk_files(str(spent)):
                if stat.S_ISREG(status.st_mode) and status.st_size:
                    os.truncate(path, 0)
        (self.directory / name).mkdir(parents=True)
        os.sync()
        return self.directory / name

    def _run(
        self,
        commands: Sequence[Sequence[str]],
        awaited: Path | None,
        variables: dict[str, str],
        *,
        ends: bool = False,
    ) -> float:
        """Run commands; return when the awaited file came. `ends`: a command ends by being told so then."""
        began, first_s = time.monotonic(), 0.0
        log = self.directory / "log"
        for command in commands:
            with log.open("ab") as said:
                process = subprocess.Popen(command, env=variables, stdout=said, stderr=said)
                while process.poll() is None:
                    if awaited is not None and not first_s and awaited.exists():
                        first_s = time.monotonic() - began
                        if ends:
                            process.terminate()
                    time.sleep(_POLL_S)
            if process.returncode != 0:
                raise click.ClickException(f"{' '.join(command)}: {log.read_text(errors='replace')[-2000:]}")
        return first_s or time.monotonic() - began


def _measured(run: Callable[[], float]) -> Run:
    """Run, and count what all processes took, those too that their parents did not wait for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    first_s = run()
    wall_s = time.monotonic() - began
    while _orphans():
        os.waitpid(_orphans()[0], 0)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return Run(wall_s, cpu_s, first_s)


def _orphans() -> list[int]:
    """Return the children that are not the index."""
    listed = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [int(pid) for pid in listed if b"wheel_index" not in Path(f"/proc/{pid}/cmdline").read_bytes()]


@click.command()
@click.option(
    "--wheels", type=click.Path(path_type=Path, exists=True), required=True, help="Folder of wheels."
)
@click.option("--environment", "names", multiple=True, default=_ENVIRONMENTS, show_default=True)
@click.option("--case", "cases", multiple=True, type=click.Choice(_CASES), default=_CASES, show_default=True)
@click.option("--pairs", default=5, show_default=True, help="Runs of each kind.")
@click.option("--gbit", default=1.0, show_default=True, help="Rate of the limited index, in Gbit/s.")
@click.option("--downloads", type=int, help="UV_CONCURRENT_DOWNLOADS of ours; by default uv's own number.")
@click.option("--gens", type=click.Path(path_type=Path), help="Definitions and locks.")
@click.option("--directory", type=click.Path(path_type=Path), help="Where to work: 8 GB for each Torch.")
def main(
    wheels: Path,
    names: tuple[str, ...],
    cases: tuple[str, ...],
    pairs: int,
    gbit: float,
    downloads: int | None,
    gens: Path | None,
    directory: Path | None,
) -> None:
    """Compare cold installs of real environments with bare uv."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)
    catalog = load_catalog(gens).for_machine(platform.machine())
    generation = catalog.generations[-1]
    cells = [cell for name in names for cell in generation.environments if cell.name == name]
    if len(cells) != len(names):
        raise click.UsageError(f"--environment {' '.join(names)}: {generation.directory_name} has not all")
    source = Path(catalog.locks_directory)
    locks = [source / generation.directory_name / f"{cell.name}.txt" for cell in cells]
    of_ours = {} if downloads is None else {"UV_CONCURRENT_DOWNLOADS": str(downloads)}
    bytes_per_s = int(gbit * _BYTES_PER_GBIT)
    with ExitStack() as stack:
        folder = Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="monobase-bench-", dir=directory))
        )
        url = stack.enter_context(wheel_index(wheels, locks))
        bench = Bench(folder / "run", source, catalog, generation, _variables(url), of_ours)
        limited = None
        if "limited" in cases:
            slow = stack.enter_context(wheel_index(wheels, locks, bytes_per_s))
            limited = replace(bench, variables=_variables(slow))
        runs = _run_all(bench, limited, cells, cases, pairs)
    table = Table("measure", "median of ratios", "to reach", "", title=f"cold: {', '.join(names)}")
    size_bytes = sum(wheel.size_bytes for wheel in catalog.lock(generation, cells[0]).wheels)
    for row in _rows(runs, size_bytes / bytes_per_s):
        table.add_row(*row)
    Console(width=118).print(table, f"load at the end: {os.getloadavg()[0]:.1f}")


def _run_all(
    bench: Bench, limited: Bench | None, cells: Sequence[Environment], cases: Sequence[str], pairs: int
) -> dict[str, list[Run]]:
    """Run each kind several times, in turns."""
    kinds: dict[str, Sequence[tuple[str, Callable[[], Run]]]] = {
        "one": (("uv, one", lambda: bench.uv(cells[:1])), ("ours, one", lambda: bench.ours(cells[:1]))),
        "all": (("uv, all", lambda: bench.uv(cells)), ("ours, all", lambda: bench.ours(cells))),
        "warm": (
            ("", lambda: bench.uv(cells[:1])), ("uv, warm", lambda: bench.uv_again(cells[:1])),
            ("", lambda: bench.ours(cells[:1])), ("ours, warm", lambda: bench.ours_again(cells[:1])),
        ),
        "asked": (("alone", lambda: bench.ours(cells[-1:])), ("asked", lambda: bench.asked(cells))),
        "limited": (("limited", lambda: (limited or bench).ours(cells[:1])),),
    }  # fmt: skip
    runs: dict[str, list[Run]] = {}
    for number in range(pairs):
        for case in cases:
            pair = kinds[case] if number % 2 == 0 or case == "warm" else kinds[case][::-1]
            for kind, work in pair:
                run = work()
                load = os.getloadavg()[0]
                if kind:
                    runs.setdefault(kind, []).append(run)
                    click.echo(
                        f"{kind:10} {run.wall_s:6.1f} s, {run.cpu_s:5.1f} CPU s, first {run.first_s:6.1f} s, "
                        f"load {load:.1f}"
                    )
    return runs


def _rows(runs: dict[str, list[Run]], least_s: float) -> list[tuple[str, str, str, str]]:
    """Return the rows of what was run.

    Args:
        runs: The runs of each kind.
        least_s: The time that the wheels of the first environment take through the limited index.
    """
    wanted = (
        ("one environment, wall: ours / uv", "ours, one", "uv, one", "wall_s", "≤ 0.85"),
        ("one environment, CPU: ours / uv", "ours, one", "uv, one", "cpu_s", "≤ 0.9"),
        ("all, wall: ours / uv", "ours, all", "uv, all", "wall_s", "≤ 0.6"),
        ("all, CPU: ours / uv", "ours, all", "uv, all", "cpu_s", ""),
        ("first of all / alone", "ours, all", "ours, one", "first_s", "≤ 1.1"),
        ("first requested of all / alone", "asked", "alone", "first_s", "≤ 1.1"),
        ("warm, wall: ours / uv", "ours, warm", "uv, warm", "wall_s", "≤ 0.07"),
    )
    rows = [
        _row(measure, runs[mine], runs[theirs], attribute, limit)
        for measure, mine, theirs, attribute, limit in wanted
        if mine in runs and theirs in runs
    ]
    if "limited" in runs:
        floor = [Run(least_s, 0, least_s)] * len(runs["limited"])
        rows.append(_row("limited, wall / (bytes ÷ bandwidth)", runs["limited"], floor, "wall_s", "≤ 1.1"))
    return rows


def _row(
    measure: str, ours: Sequence[Run], theirs: Sequence[Run], attribute: str, limit: str
) -> tuple[str, str, str, str]:
    pairs = [
        (getattr(one, attribute), getattr(other, attribute)) for one, other in zip(ours, theirs, strict=True)
    ]
    ratio = statistics.median(one / other for one, other in pairs)
    detail = ", ".join(f"{one:.1f}/{other:.1f}" for one, other in pairs)
    return measure, f"{ratio:.2f}", limit, detail


def _variables(url: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN_PREFIXES)}
    return kept | {
        "UV_DEFAULT_INDEX": url,
        "UV_NO_CONFIG": "1",
        "UV_PYTHON_DOWNLOADS": "never",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PATH": f"{Path(sys.base_prefix) / 'bin'}{os.pathsep}{kept['PATH']}",
    }


if __name__ == "__main__":
    main()
