"""`bazel run //tests/bench:install`: the installer against the reference implementation's way and the limit.

One run, one table, ratios: times of different runs or machines are not compared. The baselines:

(a) the reference implementation's way: for each environment `uv venv` and `uv pip install --compile-bytecode
    --no-deps -r`, one after another, then `rdfind -makehardlinks`;
(b) a full copy for each environment, what separate images hold;
(c) the limit: `cp -al` of the finished tree.
"""

import fnmatch
import json
import os
import shutil
import stat
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from daemon.host.file_content import file_sha256
from daemon.host.tree_walk import walk_files
from daemon.prefix.usage import disk_bytes
from gens.catalog import Catalog, load_catalog
from gens.generation import Environment, Generation
from tests.index.client import uv_binary, uv_environment
from tests.index.server import LocalIndex
from tests.index.wheel import WheelSpec
from tests.synthetic.catalog import PYTHON_FULL, environment_cell, write_catalog
from tests.synthetic.torch_generation import write_torch_generation

_REAL_PATTERNS = ("python3.1[12]-torch2.13.0-*", "python3.1[12]-torch2.14.1-*")
_REAL_DISK_BYTES = 40_000_000_000
_ROUNDS = 3
_NOTHING_TO_DO_CELLS = 100
# The installer reports its own peak; ru_maxrss would count the parent that it was forked from.
_WRAPPER = (
    "import re, runpy, sys\n"
    "sys.argv = ['daemon', *sys.argv[2:]] if (out := sys.argv[1]) else []\n"
    "try:\n"
    "    runpy.run_module('daemon.main', run_name='__main__')\n"
    "finally:\n"
    "    peak = re.search('VmHWM:\\\\s+([0-9]+) kB', open('/proc/self/status').read())\n"
    "    open(out, 'w').write(str(int(peak[1]) * 1024))\n"
)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table: a measure, its value, what is to be reached."""

    measure: str
    value: float
    limit: float | None
    unit: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the installer.

    Attributes:
        seconds: How long it took.
        stages: Seconds of each stage.
        peak_bytes: Peak memory of the installer itself.
    """

    seconds: float
    stages: dict[str, float]
    peak_bytes: int


@dataclass(frozen=True, slots=True)
class Bench:
    """The inputs of one comparison.

    Attributes:
        directory: A folder of its own.
        catalog: The generations.
        generation: The one that is installed.
        only: Patterns of its environments.
        variables: Environment variables of every child.
    """

    directory: Path
    catalog: Catalog
    generation: Generation
    only: tuple[str, ...]
    variables: dict[str, str]

    @property
    def prefix(self) -> Path:
        """Prefix of our installer."""
        return self.directory / "prefix"

    @property
    def tree(self) -> Path:
        """The finished generation."""
        return self.prefix / "monobase" / self.generation.directory_name

    @property
    def cells(self) -> list[Environment]:
        """The environments that are compared."""
        return [
            cell
            for cell in self.generation.environments
            if any(fnmatch.fnmatchcase(cell.name, pattern) for pattern in self.only)
        ]

    def install(self) -> Run:
        """Run the installer once."""
        peak = self.directory / "peak"
        options = [option for pattern in self.only for option in ("--only", pattern)]
        number = str(self.generation.id)
        command = [
            sys.executable, "-c", _WRAPPER, str(peak), "install", "--prefix", str(self.prefix),
            "--log-format", "json", "--gens", str(self.directory / "gens"), "--min-gen-id", number,
            "--max-gen-id", number, "--no-python-downloads", *options,
        ]  # fmt: skip
        began = time.monotonic()
        done = subprocess.run(command, env=self.variables, stderr=subprocess.PIPE, text=True, check=False)
        seconds = time.monotonic() - began
        if done.returncode != 0:
            raise click.ClickException(done.stderr)
        entries = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
        stages = {entry["stage"]: entry["seconds"] for entry in entries if "stage" in entry}
        click.echo(f"installed in {seconds:.2f} s: {stages}", err=True)
        return Run(seconds, stages, int(peak.read_text()))

    def reference(self, cache: Path) -> tuple[float, float]:
        """Install like the reference implementation; return the seconds of the install and of rdfind."""
        target = self.directory / "reference"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        variables = self.variables | {"UV_CACHE_DIR": str(cache)}
        variables.pop("PYTHONPATH")  # it names the libraries of this very Python
        began = time.monotonic()
        for cell in self.cells:
            lock = self.catalog.lock(self.generation, cell)
            requirements = target / f"{cell.name}.txt"
            requirements.write_text("".join(f"{wheel.name}=={wheel.version}\n" for wheel in lock.wheels))
            index: list[str] = []
            if cell.inputs.index_url is not None:
                index = ["--index", cell.inputs.index_url, "--index-strategy", "unsafe-best-match"]
            python = shutil.which(f"python{cell.python}", path=self.variables["PATH"])
            commands: list[list[str | Path]] = [
                ["venv", "--python", str(python), target / cell.name],
                ["pip", "install", "--python", target / cell.name, "--compile-bytecode", "--no-deps", *index,
                 "-r", requirements],
            ]  # fmt: skip
            for arguments in commands:
                subprocess.run([uv_binary(), "--quiet", *arguments], env=variables, check=True)
        installed = time.monotonic()
        rdfind = shutil.which("rdfind")
        if rdfind is None:
            raise click.ClickException("rdfind is not installed, and the reference implementation needs it")
        subprocess.run(
            [rdfind, "-makehardlinks", "true", "-makeresultsfile", "false", target],
            stdout=subprocess.DEVNULL,
            check=True,
        )
        return installed - began, time.monotonic() - installed


@click.command()
@click.option("--cells", default=24, show_default=True, help="Environments of the synthetic generation.")
@click.option("--synthetic/--no-synthetic", default=True, help="The synthetic generation.")
@click.option("--real/--no-real", default=True, help="Also two real torch releases on two Pythons.")
@click.option("--gens", type=click.Path(path_type=Path), help="Definitions and locks of real generations.")
@click.option(
    "--directory", type=click.Path(path_type=Path), help="Where to work; needs hard links and room."
)
def main(cells: int, synthetic: bool, real: bool, gens: Path | None, directory: Path | None) -> None:
    """Compare the installer with the reference implementation's way and with bare links."""
    console = Console(width=118)
    with tempfile.TemporaryDirectory(prefix="monobase-bench-", dir=directory) as folder:
        with LocalIndex(Path(folder) / "index") as index:
            if synthetic:
                _synthetic(console, index, Path(folder) / "synthetic", cells)
            _nothing_to_do(console, index, Path(folder) / "many")
        if real:
            _real(console, Path(folder) / "real", gens)


def _synthetic(console: Console, index: LocalIndex, directory: Path, cells: int) -> None:
    pythons = _pythons()
    generation = write_torch_generation(index, directory / "gens", list(pythons.values()), cells)
    variables = _variables(uv_environment(index, directory))
    bench = Bench(directory, load_catalog(directory / "gens"), generation, ("*",), variables)
    index.log.clear()
    cold = bench.install()
    distinct = {
        wheel.sha256: wheel.size_bytes
        for cell in bench.cells
        for wheel in bench.catalog.lock(generation, cell).wheels
    }
    downloaded = sum(index.log.wheel_bytes().values())
    rows = [
        Row("bytes downloaded / sum of the distinct wheels", downloaded / sum(distinct.values()), 1.0,
            detail=f"{len(distinct)} wheels, {sum(distinct.values()) / 1e6:.0f} MB"),
    ]  # fmt: skip
    rows += _compare(bench, bench.directory / "reference-cache", cold)
    title = f"synthetic: {len(bench.cells)} environments on {', '.join(pythons)}"
    _print(console, title, rows)


def _real(console: Console, directory: Path, gens: Path | None) -> None:
    directory.mkdir()
    room = os.statvfs(directory)
    if room.f_bavail * room.f_frsize < _REAL_DISK_BYTES:
        console.print(f"real: skipped, {directory} has less than {_REAL_DISK_BYTES / 1e9:.0f} GB free")
        return
    catalog = load_catalog(gens)
    generation = catalog.generations[-1]
    source = Path(catalog.locks_directory)
    (directory / "gens").mkdir()
    shutil.copytree(source / generation.directory_name, directory / "gens" / generation.directory_name)
    name = f"{generation.directory_name}.json"
    shutil.copy(source / name, directory / "gens" / name)
    bench = Bench(
        directory, load_catalog(directory / "gens"), generation, _REAL_PATTERNS, _variables(dict(os.environ))
    )
    cold = bench.install()
    # The same cache for both: another download of all of it would compare nothing.
    rows = _compare(bench, bench.prefix / "uv" / "cache", cold)
    _print(console, f"real: {', '.join(cell.name for cell in bench.cells)}", rows)


def _compare(bench: Bench, reference_cache: Path, cold: Run) -> list[Row]:
    runs = []
    for _ in range(_ROUNDS):
        shutil.rmtree(bench.tree)
        runs.append(bench.install())
    warm = statistics.median(run.seconds for run in runs)
    linking = statistics.median(run.stages["link"] for run in runs)
    limit = statistics.median(_copy_links(bench) for _ in range(_ROUNDS))
    disk = disk_bytes(bench.prefix)
    sizes = _sizes(bench)
    own_cache = reference_cache.is_relative_to(bench.prefix)
    cold_reference = None if own_cache else bench.reference(reference_cache)
    installing, rdfind = bench.reference(reference_cache)
    reference_disk = disk_bytes(bench.directory / "reference") + disk_bytes(reference_cache)
    if own_cache:
        # Its environments link to our cache, whose archives count for both.
        reference_disk = _disk_of_both(bench.directory / "reference", reference_cache)
    rows = [
        Row("bytes on disk / distinct contents", sizes.kept / sizes.distinct, 1.02,
            detail=f"{sizes.kept / 1e6:.1f} / {sizes.distinct / 1e6:.1f} MB, all of the prefix"),
        Row("bytes on disk / distinct contents installed", sizes.kept / sizes.installed, None,
            detail=f"{sizes.kept / 1e6:.1f} / {sizes.installed / 1e6:.1f} MB; RECORDs, inventories"),
        Row("warm install: ours / (a)", warm / (installing + rdfind), 0.15,
            detail=f"{warm:.2f} s / ({installing:.2f} + {rdfind:.2f} s)"),
        Row("linking alone: ours / (c)", linking / limit, 3.0, detail=f"{linking:.2f} / {limit:.2f} s"),
        Row("bytes on disk: ours / (a)", disk / reference_disk, 1.0,
            detail=f"{disk / 1e6:.0f} / {reference_disk / 1e6:.0f} MB"),
        Row("bytes on disk: ours / (b)", disk / sizes.apparent, None,
            detail=f"{disk / 1e6:.0f} / {sizes.apparent / 1e6:.0f} MB"),
        Row("peak memory of the installer", max(run.peak_bytes for run in (cold, *runs)) / 1e6, 150, "MB"),
    ]  # fmt: skip
    if cold_reference is not None:
        rows.append(
            Row("cold install: ours / (a)", cold.seconds / sum(cold_reference), None,
                detail=f"{cold.seconds:.1f} / {sum(cold_reference):.1f} s, everything from the index")
        )  # fmt: skip
    else:
        rows.append(Row("cold install", cold.seconds, None, "s", "everything from the index"))
    shutil.rmtree(bench.directory / "reference")
    return rows


def _nothing_to_do(console: Console, index: LocalIndex, directory: Path) -> None:
    wheel = index.add(WheelSpec("nothing", "1.0", files={"nothing/__init__.py": b""}))
    cells = [environment_cell([wheel], f"2.0.{number}") for number in range(_NOTHING_TO_DO_CELLS)]
    write_catalog(directory / "gens", {0: cells})
    catalog = load_catalog(directory / "gens")
    variables = _variables(uv_environment(index, directory))
    bench = Bench(directory, catalog, catalog.generations[0], ("*",), variables)
    bench.install()
    seconds = statistics.median(bench.install().seconds for _ in range(_ROUNDS))
    row = Row(f"second install of {_NOTHING_TO_DO_CELLS} environments", seconds, 1.0, "s")
    _print(console, f"nothing to do, Python {PYTHON_FULL}", [row])


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bytes of a finished prefix without the interpreters.

    Attributes:
        kept: Of all inodes.
        distinct: Of all distinct contents, uv's cache and our own files included: less would lose something.
        installed: Of the distinct contents of the environments, bytecode included.
        apparent: Of the environments, each name of a shared file counted.
    """

    kept: int
    distinct: int
    installed: int
    apparent: int


def _sizes(bench: Bench) -> Sizes:
    digests: dict[int, tuple[str, int]] = {}
    installed: dict[str, int] = {}
    apparent = 0
    tree = f"{bench.tree}/"
    for path, status in walk_files(str(bench.prefix)):
        if not stat.S_ISREG(status.st_mode) or "/uv/python/" in path:
            continue
        if status.st_ino not in digests:
            digests[status.st_ino] = (file_sha256(path), status.st_size)
        if path.startswith(tree):
            apparent += status.st_size
            sha256, size = digests[status.st_ino]
            installed[sha256] = size
    return Sizes(
        sum(size for _, size in digests.values()),
        sum(dict(digests.values()).values()),
        sum(installed.values()),
        apparent,
    )


def _disk_of_both(environments: Path, cache: Path) -> int:
    inodes = {}
    for root in (environments, cache):
        for _, status in walk_files(str(root)):
            inodes[status.st_ino] = status.st_blocks * 512
    return sum(inodes.values())


def _copy_links(bench: Bench) -> float:
    target = bench.directory / "links"
    began = time.monotonic()
    subprocess.run(["/bin/cp", "-al", bench.tree, target], check=True)
    seconds = time.monotonic() - began
    shutil.rmtree(target)
    return seconds


def _pythons() -> dict[str, str]:
    """Return the full version of each Python on the PATH that wheels are made for."""
    found = {".".join(PYTHON_FULL.split(".")[:2]): PYTHON_FULL}
    for minor in ("3.10", "3.11", "3.12", "3.13"):
        program = shutil.which(f"python{minor}")
        if program is not None and minor not in found:
            said = subprocess.run([program, "-V"], capture_output=True, text=True, check=False)
            if said.returncode == 0:
                found[minor] = said.stdout.split()[1]
    return dict(sorted(found.items()))


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
    table = Table("measure", "value", "to reach", "", "", title=title, title_justify="left")
    for row in rows:
        reached = "" if row.limit is None else "yes" if row.value <= row.limit else "NO"
        limit = "" if row.limit is None else f"≤ {row.limit:g} {row.unit}"
        table.add_row(row.measure, f"{row.value:.3f} {row.unit}", limit, reached, row.detail)
    console.print(table)


if __name__ == "__main__":
    main()
