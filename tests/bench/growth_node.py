"""A node of a given size for the benchmark of growth: installed by the real daemon and the real uv.

Each environment has its own wheel of Torch, as every release, build and Python has in life; the wheels that
all share; and one that changes with the generation. The wheels are tiny: what grows with their bytes is a
matter of `//tests/bench:install`.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import click

from daemon.prefix.usage import disk_bytes
from tests.index.client import uv_environment
from tests.index.server import LocalIndex
from tests.index.wheel import Wheel, WheelSpec
from tests.synthetic.catalog import Cell, environment_cell, write_catalog

_LONG_S = 5.0
_SHOWN = 4000
# A program reports its own peak; ru_maxrss would count the parent that it was forked from.
_WRAPPER = (
    "import re, runpy, sys\n"
    "out, module = sys.argv[1:3]\n"
    "sys.argv = [module, *sys.argv[3:]]\n"
    "try:\n"
    "    runpy.run_module(module, run_name='__main__')\n"
    "finally:\n"
    "    peak = re.search('VmHWM:\\\\s+([0-9]+) kB', open('/proc/self/status').read())\n"
    "    open(out, 'w').write(str(int(peak[1]) * 1024))\n"
)


@dataclass(frozen=True, slots=True)
class Size:
    """The size of a node.

    Attributes:
        generations: How many generations it has, all active.
        environments: How many environments each has.
    """

    generations: int
    environments: int

    def __str__(self) -> str:
        return f"{self.generations:,} generations of {self.environments:,} environments"


@dataclass(frozen=True, slots=True)
class Scale:
    """The content of an environment.

    Attributes:
        wheels: Wheels that all environments share.
        modules: Modules of each wheel.
    """

    wheels: int
    modules: int


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a program.

    Attributes:
        seconds: How long it took.
        cpu_seconds: Processor time, with that of its children.
        peak_bytes: Its peak memory, without that of its children.
        output: What it printed.
    """

    seconds: float
    cpu_seconds: float
    peak_bytes: int
    output: str


@dataclass(slots=True)
class GrowthNode:
    """A node, before its install.

    Attributes:
        directory: A folder of its own.
        index: The index with its wheels.
        size: Its size.
        scale: How much an environment holds.
    """

    directory: Path
    index: LocalIndex
    size: Size
    scale: Scale
    _wheels: dict[tuple[str, str], Wheel] = field(default_factory=dict)

    @property
    def prefix(self) -> Path:
        """The prefix."""
        return self.directory / "prefix"

    @property
    def gens(self) -> Path:
        """The definitions and locks."""
        return self.directory / "gens"

    def define(self) -> None:
        """Write definitions and locks, and put the wheels on the index."""
        self.directory.mkdir(parents=True)
        shared = [self._wheel(f"package{number}", "1.0") for number in range(self.scale.wheels)]
        generations: dict[int, Sequence[Cell]] = {}
        for number in range(self.size.generations):
            changed = self._wheel("changed", f"1.{number}")
            generations[number] = [
                environment_cell([*shared, changed, self._wheel("torch", f"2.{count}.0")], f"2.{count}.0")
                for count in range(self.size.environments)
            ]
        write_catalog(self.gens, generations)

    def monobase(self, command: str, *options: str, times: int = 1) -> Run:
        """Run a command of the daemon; several times, unless it takes long, for the median."""
        wanted = ["--prefix", str(self.prefix), *options]
        if command not in {"verify", "status"}:
            wanted += ["--gens", str(self.gens)]
        runs = [self.run("daemon.main", command, *wanted)]
        while len(runs) < times and runs[0].seconds < _LONG_S:
            runs.append(self.run("daemon.main", command, *wanted))
        return sorted(runs, key=lambda run: run.cpu_seconds)[len(runs) // 2]

    def run(self, module: str, *arguments: str) -> Run:
        """Run a module of this tree as a program.

        Raises:
            ClickException: It failed.
        """
        peak = self.directory / "peak"
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        began_s = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", _WRAPPER, str(peak), module, *arguments],
            env=self._variables(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        seconds = time.monotonic() - began_s
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu_seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        if done.returncode != 0:
            told = f"{done.stderr[-_SHOWN:]}{done.stdout[-_SHOWN:]}"
            raise click.ClickException(f"{module} {' '.join(arguments)}: {told}")
        return Run(seconds, cpu_seconds, int(peak.read_text()), done.stdout)

    def half_budget(self) -> str:
        """Return the disk budget for which half of the environments have to go.

        Most bytes of so small environments are those of folders and of files that are theirs alone.
        """
        status = json.loads(self.monobase("status", "--json").output)
        return str(status["disk_bytes"] - status["distinct_bytes"] // 2)

    def disk_bytes(self) -> int:
        """Return the bytes of the prefix on the disk."""
        return disk_bytes(self.prefix)

    def remove(self) -> None:
        """Remove the node, which may have a million names."""
        shutil.rmtree(self.directory)

    def _variables(self) -> dict[str, str]:
        variables = uv_environment(self.index, self.directory)
        for name in ("UV_CACHE_DIR", "UV_PYTHON_INSTALL_DIR"):
            del variables[name]
        variables["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        variables["PATH"] = f"{Path(sys.base_prefix) / 'bin'}{os.pathsep}{variables['PATH']}"
        return variables

    def _wheel(self, name: str, version: str) -> Wheel:
        found = self._wheels.get((name, version))
        if found is None:
            files = {
                f"{name}/module{number}.py": f"VALUE = {name!r}, {version!r}, {number}\n".encode()
                for number in range(self.scale.modules)
            }
            files[f"{name}/__init__.py"] = f"__version__ = {version!r}\n".encode()
            found = self._wheels[name, version] = self.index.add(WheelSpec(name, version, files=files))
        return found
