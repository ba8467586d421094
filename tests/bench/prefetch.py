"""`bazel run //tests/bench:prefetch`: `import torch` from a cold page cache, with reading ahead and without.

A model starts through the runtime's `exec`, on a prefix with one real Torch whose import the daemon has
recorded. Before each start, the pages of the environment and of the interpreters are dropped
(`posix_fadvise`, POSIX_FADV_DONTNEED), which needs no privilege and disturbs no other program. Pairs are
interleaved, and each second one begins with the other. With `--cgroup`, the models run in a control group
that limits the disk.
"""

import ctypes
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from daemon.prefix.prefetch_list import read_prefetch_list
from daemon.prefix.prefix import Prefix
from gens.catalog import load_catalog
from runtime.shells import EXEC, SYSTEM_PATH
from tests.index.interpreter_archive import interpreter_mirror

_NUMBER = 3
_GENERATION = f"g{_NUMBER:05}"
_ENVIRONMENT = "python3.11-torch2.13.0-cu130"
_PR_SET_CHILD_SUBREAPER = 36
_TRIES = 3
_LEAST_SHARE = 0.9
_DISK_BYTES = 8_000_000_000
# What ends with an interpreter reads much (the destructors of CUDA's libraries), and a model does not end.
_IMPORT = """
import os, time
import torch
read = next(line.split()[1] for line in open("/proc/self/io") if line.startswith("read_bytes"))
print(time.monotonic(), read, torch.__file__, flush=True)
os._exit(0)
"""


@dataclass(frozen=True, slots=True)
class Start:
    """One start of a model.

    Attributes:
        seconds: From the start of `exec` to the end of `import torch`.
        read_bytes: What the model's process itself read from the disk.
    """

    seconds: float
    read_bytes: int


@dataclass(frozen=True, slots=True)
class Bench:
    """A prefix to start models on.

    Attributes:
        prefix: The prefix.
        cgroup: A control group for the models; None for the caller's.
    """

    prefix: Prefix
    cgroup: Path | None

    def drop(self) -> int:
        """Drop the pages of the environment and the interpreters; return the number of files."""
        count = 0
        for top in (self.prefix.target(_GENERATION, _ENVIRONMENT), self.prefix.uv_python):
            for folder, _, names in os.walk(top):
                for name in names:
                    path = os.path.join(folder, name)  # noqa: PTH118 (there are many)
                    if not os.path.islink(path):  # noqa: PTH114
                        _drop_file(path)
                        count += 1
        return count

    def start(self, prefetch: str) -> Start:
        """Start a model that imports torch and ends."""
        variables = {
            "PATH": SYSTEM_PATH,
            "HOME": "/tmp",  # noqa: S108 (nothing is written there)
            "MONOBASE_PREFIX": str(self.prefix.root),
            "MONOBASE_GEN_ID": str(_NUMBER),
            "PYTHON_VERSION": "3.11",
            "TORCH_VERSION": "2.13.0+cu130",
            "MONOBASE_LEASE": "1",
            "MONOBASE_FIT": "off",
            "MONOBASE_LOG_LEVEL": "error",
            "MONOBASE_PREFETCH": prefetch,
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        began_s = time.monotonic()
        done = subprocess.run(
            [str(EXEC), "python", "-c", _IMPORT], env=variables, capture_output=True, text=True, check=False,
            preexec_fn=None if self.cgroup is None else self._enter,
        )  # fmt: skip
        _wait_for_orphans()
        if done.returncode != 0:
            raise click.ClickException(done.stderr)
        ended_s, read, file = done.stdout.split(maxsplit=2)
        if not file.startswith(str(self.prefix.root)):
            raise click.ClickException(f"torch came from {file}")
        return Start(float(ended_s) - began_s, int(read))

    def _enter(self) -> None:
        with open(f"{self.cgroup}/cgroup.procs", "w") as stream:  # noqa: PTH123
            stream.write(str(os.getpid()))


def measure(
    bench: Bench, pairs: int, listed_bytes: int, report: Callable[[str], None]
) -> list[tuple[Start, Start]]:
    """Measure interleaved pairs: without reading ahead, and with it."""
    found: list[tuple[Start, Start]] = []
    for number in range(_TRIES * pairs):
        starts = {}
        for prefetch in ("0", "1") if number % 2 == 0 else ("1", "0"):
            bench.drop()
            starts[prefetch] = bench.start(prefetch)
        one, two = starts["0"], starts["1"]
        seconds = f"{one.seconds:.2f} s, reading ahead {two.seconds:.2f} s"
        # The kernel keeps the pages of a file that another process has mapped.
        if one.read_bytes < listed_bytes * _LEAST_SHARE:
            report(f"{seconds}: left out, only {one.read_bytes / 1e6:.0f} MB were not in the page cache")
            continue
        report(seconds)
        found.append((one, two))
        if len(found) == pairs:
            return found
    raise click.ClickException("other processes keep the files in the page cache")


@click.command()
@click.option(
    "--prefix", "given", type=click.Path(path_type=Path), help="An installed prefix, with the list."
)
@click.option("--gens", type=click.Path(path_type=Path), help="Definitions and locks of real generations.")
@click.option("--directory", type=click.Path(path_type=Path), help="Where to install; 8 GB.")
@click.option("--index-url", help="Default index, instead of the one of uv's own configuration.")
@click.option("--cgroup", type=click.Path(path_type=Path), help="A control group for the models.")
@click.option("--pairs", default=5, show_default=True, help="Starts of each kind.")
def main(
    given: Path | None,
    gens: Path | None,
    directory: Path | None,
    index_url: str | None,
    cgroup: Path | None,
    pairs: int,
) -> None:
    """Measure `import torch` from a cold page cache, with reading ahead and without."""
    console = Console(width=118)
    _adopt_orphans()
    with _installed(given, gens, directory, index_url) as root:
        bench = Bench(Prefix(root), cgroup)
        listed = read_prefetch_list(bench.prefix, _GENERATION, _ENVIRONMENT)
        if listed is None:
            raise click.ClickException(
                f"{root}: has no list for {_ENVIRONMENT}; `install --prefetch` makes it"
            )
        bench.start("0")
        warm = statistics.median(bench.start("0").seconds for _ in range(pairs))
        idle = statistics.median(bench.start("1").seconds for _ in range(pairs))
        found = measure(bench, pairs, listed.total_bytes, console.print)
    table = Table("page cache", "exec to import torch", "read by the model", title=_title(listed.total_bytes))
    for text, index in (("cold", 0), ("cold, reading ahead", 1)):
        seconds = statistics.median(pair[index].seconds for pair in found)
        read = statistics.median(pair[index].read_bytes for pair in found)
        table.add_row(text, f"{seconds:.2f} s", f"{read / 1e6:.0f} MB")
    table.add_row("warm", f"{warm:.2f} s", "")
    table.add_row("warm, reading ahead", f"{idle:.2f} s", "")
    console.print(table)
    ratios = [two.seconds / one.seconds for one, two in found]
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    console.print(f"ratio: {statistics.median(ratios):.2f} (median of {pairs}: {spread})")


def _title(listed_bytes: int) -> str:
    load = f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors"
    return f"{_ENVIRONMENT}; the list names {listed_bytes / 1e6:.0f} MB; {load}"


@contextmanager
def _installed(
    given: Path | None, gens: Path | None, directory: Path | None, index_url: str | None
) -> Iterator[Path]:
    if given is not None:
        yield given.resolve()
        return
    with tempfile.TemporaryDirectory(prefix="monobase-bench-", dir=directory) as folder:
        room = os.statvfs(folder)
        if room.f_bavail * room.f_frsize < _DISK_BYTES:
            raise click.ClickException(f"{folder}: has less than {_DISK_BYTES / 1e9:.0f} GB free")
        variables = dict(os.environ)
        variables["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        catalog = load_catalog(gens)
        environments = catalog.generation(_NUMBER).environments
        version = next(item.python_full for item in environments if item.name == _ENVIRONMENT)
        number = str(_NUMBER)
        command = [
            sys.executable, "-m", "daemon.main", "install", "--prefix", f"{folder}/prefix",
            "--gens", str(catalog.locks_directory), "--min-gen-id", number, "--max-gen-id", number,
            "--only", _ENVIRONMENT, "--prefetch", *(["--index-url", index_url] if index_url else []),
        ]  # fmt: skip
        # The interpreter lies on the prefix, as on a node, and its library is dropped and read as well.
        with interpreter_mirror(Path(folder, "mirror"), (version,)) as mirror:
            variables["UV_PYTHON_DOWNLOADS_JSON_URL"] = mirror.list_url
            subprocess.run(command, env=variables, check=True)
        yield Path(folder, "prefix").resolve()


def _adopt_orphans() -> None:
    """Become the parent of what a model leaves running: a reader that goes on would fill the cache again."""
    if ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise click.ClickException("this process cannot wait for the one that reads ahead")


def _wait_for_orphans() -> None:
    with suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)


def _drop_file(path: str) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    main()
