"""A node of a test: an index, a catalog, a prefix, and the daemon as a real process."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from daemon.prefix.prefix import Prefix
from daemon.prefix.usage import disk_bytes
from tests.index.client import uv_environment
from tests.index.server import LocalIndex
from tests.index.wheel import Wheel, WheelSpec
from tests.synthetic.catalog import PYTHON, Cell, environment_cell, write_catalog

ROOT = Path(__file__).parent.parent.parent
SITE = f"lib/python{PYTHON}/site-packages"
_PATIENCE_S = 90.0


@dataclass(slots=True)
class Daemon:
    """A daemon that runs.

    Attributes:
        process: Its process.
        log: The file of its standard error, an object a line.
    """

    process: subprocess.Popen[bytes]
    log: Path
    port: int | None = None

    def entries(self) -> list[dict[str, Any]]:
        """Return its log entries."""
        whole = self.log.read_text().rpartition("\n")[0]  # the last line may be half written
        return [json.loads(line) for line in whole.splitlines() if line.startswith("{")]

    def said(self, text: str) -> bool:
        """Return whether its log contains a text."""
        return any(text in json.dumps(entry) for entry in self.entries())

    def wait_until(self, what: Callable[[], bool], patience_s: float = _PATIENCE_S) -> None:
        """Wait until something holds, as long as the daemon lives."""
        end = time.monotonic() + patience_s
        while not what():
            if self.process.poll() is not None:
                raise AssertionError(f"the daemon ended:\n{self.log.read_text()}")
            if time.monotonic() > end:
                raise AssertionError(f"never came:\n{self.log.read_text()}")
            time.sleep(0.02)

    def get(self, path: str, accept: str = "*/*") -> tuple[int, str]:
        """Ask it; gives status and body."""
        if self.port is None:
            self.wait_until(lambda: any("address" in entry for entry in self.entries()))
            address = next(entry["address"] for entry in self.entries() if "address" in entry)
            self.port = int(address.rpartition(":")[2])
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers={"Accept": accept})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def ready(self) -> bool:
        """Return whether `/readyz` answers 200."""
        return self.get("/readyz")[0] == 200

    def wait_ready(self) -> None:
        """Wait until it is ready."""
        self.wait_until(self.ready)

    def metric(self, name: str) -> float:
        """Return the value of a metric, named with its labels as in the exposition."""
        for line in self.get("/metrics")[1].splitlines():
            if line.startswith(f"{name} "):
                return float(line.rpartition(" ")[2])
        raise AssertionError(f"there is no metric {name}")

    def end(self, number: int = signal.SIGTERM) -> float:
        """End it; gives the seconds that it took."""
        began = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(timeout=30)
        return time.monotonic() - began


@dataclass(slots=True)
class Node:
    """A node of a test."""

    index: LocalIndex
    directory: Path
    variables: dict[str, str] = field(default_factory=dict)
    started: int = 0

    @property
    def prefix(self) -> Prefix:
        """Prefix of the node."""
        return Prefix(self.directory / "prefix")

    def wheel(self, name: str, version: str = "1.0", size_bytes: int = 0, **settings: Any) -> Wheel:  # noqa: ANN401
        """Put a wheel on the index; `size_bytes` of it no other wheel has."""
        files = {f"{name}/__init__.py": f"NAME = '{name} {version}'\n".encode()}
        if size_bytes:
            files[f"{name}/data.bin"] = os.urandom(size_bytes)
        return self.index.add(WheelSpec(name, version, **({"files": files} | settings)))

    def define(self, generations: dict[int, list[Cell]]) -> None:
        """Write the definitions of the node."""
        write_catalog(self.directory / "gens", generations)

    def environment(self, generation: str = "g00000", name: str = f"python{PYTHON}") -> Path:
        """Return the folder of an environment."""
        return self.prefix.generation(generation) / name

    def disk_bytes(self) -> int:
        """Count what the prefix takes on the disk."""
        return disk_bytes(self.prefix.root)

    @contextmanager
    def daemon(self, *arguments: str, variables: dict[str, str] | None = None) -> Iterator[Daemon]:
        """Run the daemon, with quick checks and retries; it is killed at the end if it runs still."""
        self.started += 1
        log = self.directory / f"daemon{self.started}.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                self._command(
                    "run", "--listen", "127.0.0.1:0", "--log-format", "json", "--check-interval", "0.1",
                    "--scan-interval", "0.2", "--retry-delay", "0.2", "--max-retry-delay", "0.5", *arguments,
                ),
                stderr=stream, stdout=subprocess.DEVNULL, cwd=self.directory,
                env=self.environment_variables() | (variables or {}),
            )  # fmt: skip
        try:
            yield Daemon(process, log)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    def run(
        self, *arguments: str, code: int = 0, variables: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        done = subprocess.run(
            self._command(*arguments), capture_output=True, text=True, check=False, timeout=120,
            env=self.environment_variables() | (variables or {}), cwd=self.directory,
        )  # fmt: skip
        if done.returncode != code:
            raise AssertionError(f"exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def _command(self, *arguments: str) -> list[str]:
        gens = [] if arguments[0] == "status" else ["--gens", str(self.directory / "gens")]
        return [
            sys.executable, "-m", "daemon.main", *arguments, "--prefix", str(self.prefix.root), *gens,
        ]  # fmt: skip

    def environment_variables(self) -> dict[str, str]:
        """Return the variables that its processes run with."""
        environment = uv_environment(self.index, self.directory)
        for name in ("UV_CACHE_DIR", "UV_PYTHON_INSTALL_DIR"):
            environment.pop(name)
        environment["PATH"] = f"{Path(sys.base_prefix) / 'bin'}:{environment['PATH']}"
        environment["PYTHONPATH"] = os.pathsep.join([str(ROOT), *sys.path])
        environment["UV_HTTP_RETRIES"] = "1"
        return environment | self.variables


def cells(*wheels: Wheel, torch: tuple[str, ...] = ()) -> list[Cell]:
    """Describe a generation: the plain environment, and one for each Torch release with the same wheels."""
    return [environment_cell(wheels), *(environment_cell(wheels, torch=release) for release in torch)]


@contextmanager
def small_disk(node: Node, size: str) -> Iterator[Path]:
    """Mount a file system of a size such as `12m` on a node's prefix; skip the test where that fails."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if os.geteuid() != 0 or mount is None or umount is None:
        pytest.skip("mounting a small file system needs root")
    small = node.prefix.root
    small.mkdir()
    mounted = subprocess.run(
        [mount, "-t", "tmpfs", "-o", f"size={size}", "tmpfs", small], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("this machine lets nobody mount")
    try:
        yield small
    finally:
        subprocess.run([umount, "-l", small], check=True)
