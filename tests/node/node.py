"""A node of a test: an index, generations of its wheels, and a prefix that real processes fill."""

import contextlib
import dataclasses
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from daemon.prefix.prefix import Prefix
from daemon.prefix.usage import disk_bytes
from daemon.upkeep.verify import verify
from tests.index.client import uv_environment
from tests.index.server import LocalIndex
from tests.index.wheel import Wheel, WheelSpec
from tests.node.running_daemon import Daemon
from tests.synthetic.catalog import PYTHON, Cell, write_catalog

SITE = f"lib/python{PYTHON}/site-packages"
PLAIN = f"python{PYTHON}"
BYTECODE_SUFFIX = f"cpython-{PYTHON.replace('.', '')}.pyc"
_ROOT = Path(__file__).parent.parent.parent
_TIMEOUT_S = 120
_PAUSE_S = 0.05
# Of an install whose downloads a test holds at a gate: uv waits as long as the test does.
PATIENT: Mapping[str, str] = {"UV_HTTP_TIMEOUT": "1200"}
# Commands that look for interpreters, and may download one.
_INSTALLING = {"install", "run"}


@dataclass(frozen=True, slots=True)
class Node:
    """One node.

    Attributes:
        index: The index that it installs from.
        directory: A folder of its own.
        root: Its prefix.
        gens: The folder of its definitions and locks.
        variables: Further environment variables of its processes.
        python_downloads: Whether its commands may download interpreters, as they do by default.
    """

    index: LocalIndex
    directory: Path
    root: Path
    gens: Path
    variables: Mapping[str, str] = field(default_factory=dict)
    python_downloads: bool = False

    @property
    def prefix(self) -> Prefix:
        """The prefix, as the daemon sees it."""
        return Prefix(self.root)

    def wheel(
        self,
        name: str = "alpha",
        version: str = "1.0",
        *,
        size_bytes: int = 0,
        **settings: Any,  # noqa: ANN401 (as WheelSpec has them)
    ) -> Wheel:
        """Put a wheel on the index; without `files` it holds one module that names it.

        Args:
            name: Name of the package.
            version: Its version.
            size_bytes: Size of a further file, whose random bytes no other wheel has; 0 for none.
            settings: What `WheelSpec` takes besides.
        """
        files = {f"{name}/__init__.py": f"NAME = '{name} {version}'\n".encode()}
        if size_bytes:
            files[f"{name}/data.bin"] = os.urandom(size_bytes)
        return self.index.add(WheelSpec(name, version, **({"files": files} | settings)))

    def define(self, *cells: Cell, generation: int = 0) -> None:
        """Define a generation, beside the existing ones."""
        self.define_all({generation: cells})

    def define_all(self, generations: Mapping[int, Sequence[Cell]]) -> None:
        """Define generations by their IDs, beside the existing ones."""
        write_catalog(self.gens, generations)

    def with_prefix(self, root: Path) -> "Node":
        """Return a node with the same generations and another prefix."""
        return dataclasses.replace(self, root=root)

    def command(self, verb: str, *arguments: str | Path) -> list[str]:
        """Return the command line of a command of the daemon."""
        own = [] if verb == "status" else ["--gens", str(self.gens)]
        if not self.python_downloads and (verb in _INSTALLING or "--repair" in arguments):
            own.append("--no-python-downloads")
        words = [verb, *map(str, arguments), "--prefix", str(self.root), *own]
        return [sys.executable, "-m", "daemon.main", *words]

    def start(
        self, *arguments: str, variables: Mapping[str, str] | None = None, before: Sequence[str] = ()
    ) -> "subprocess.Popen[str]":
        """Start an install in a process group of its own.

        Args:
            arguments: Further arguments of `install`.
            variables: Further environment variables.
            before: A program that runs the command, such as strace with its options.

        Returns:
            The process, whose standard error is a pipe.
        """
        return subprocess.Popen(
            [*before, *self.command("install", *arguments)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env=self.environment_variables(variables), cwd=self.directory, start_new_session=True,
        )  # fmt: skip

    def spawn(
        self, verb: str, *arguments: str, said: IO[bytes], variables: Mapping[str, str], before: Sequence[str]
    ) -> "subprocess.Popen[bytes]":
        """Start any command in a process group of its own.

        Args:
            verb: The command.
            arguments: Further arguments of it.
            said: Receives its standard error.
            variables: Further environment variables.
            before: A program that runs the command, such as strace with its options.
        """
        return subprocess.Popen(
            [*before, *self.command(verb, *arguments)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said,
            env=self.environment_variables(variables), cwd=self.directory, start_new_session=True,
        )  # fmt: skip

    def install(
        self,
        *arguments: str,
        code: int = 0,
        variables: Mapping[str, str] | None = None,
        before: Sequence[str] = (),
    ) -> str:
        """Run an install to its end, and return its standard error.

        Args:
            arguments: Further arguments of `install`.
            code: The exit code that it must have.
            variables: Further environment variables.
            before: A program that runs the command.
        """
        process = self.start(*arguments, variables=variables, before=before)
        try:
            _, said = process.communicate(timeout=_TIMEOUT_S)
        finally:
            end_group(process)
        check_exit_code(process.returncode, code, said)
        return said

    def verify(self, code: int = 0) -> str:
        """Run `verify`, and return its standard output."""
        return self.run("verify", code=code).stdout

    def run(
        self, verb: str, *arguments: str | Path, code: int = 0, variables: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end.

        Args:
            verb: The command, such as `prune`.
            arguments: Its further arguments; `--prefix` and `--gens` are added.
            code: The exit code that it must have.
            variables: Further environment variables.

        Returns:
            The ended process, with its output.
        """
        done = subprocess.run(
            self.command(verb, *arguments), capture_output=True, text=True, check=False,
            env=self.environment_variables(variables), cwd=self.directory, timeout=_TIMEOUT_S,
        )  # fmt: skip
        check_exit_code(done.returncode, code, done.stdout + done.stderr)
        return done

    @contextmanager
    def daemon(self, *arguments: str, variables: Mapping[str, str] | None = None) -> Iterator[Daemon]:
        """Run the service, with quick checks and retries; at the end it is killed if it still runs.

        Args:
            arguments: Further arguments of `run`.
            variables: Further environment variables.

        Yields:
            The running service.
        """
        log = self.directory / f"daemon{len(list(self.directory.glob('daemon*.log'))) + 1}.log"
        with log.open("wb") as stream:
            process = subprocess.Popen(
                self.command(
                    "run", "--listen", "127.0.0.1:0", "--log-format", "json", "--check-interval", "0.1",
                    "--scan-interval", "0.2", "--retry-delay", "0.2", "--max-retry-delay", "0.5", *arguments,
                ),
                stderr=stream, stdout=subprocess.DEVNULL, cwd=self.directory,
                env=self.environment_variables(variables),
            )  # fmt: skip
        try:
            yield Daemon(process, log)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()

    def differences(self) -> list[str]:
        """Verify everything that has a final name, without the cost of a process."""
        found = verify(self.prefix, self.prefix.installed_generations(), jobs=1)
        return [str(finding) for finding in found.findings]

    def disk_bytes(self) -> int:
        """Return the size of the prefix on the disk."""
        return disk_bytes(self.root)

    def environment(self, name: str = PLAIN, generation: str = "g00000") -> Path:
        """Return the folder of an environment, or the link to a toolkit."""
        return self.prefix.generation(generation) / name

    def is_sealed(self, generation: str = "g00000") -> bool:
        """Return whether a generation has its mark, and it is not that of a part."""
        try:
            return b'"format": 2' not in self.prefix.sealed_mark(generation).read_bytes()
        except OSError:
            return False

    def environment_variables(self, variables: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment variables of its processes, with further ones."""
        environment = uv_environment(self.index, self.directory)
        for name in ("UV_CACHE_DIR", "UV_PYTHON_INSTALL_DIR"):
            environment.pop(name)
        environment["PATH"] = f"{Path(sys.base_prefix) / 'bin'}:{environment['PATH']}"
        environment["PYTHONPATH"] = os.pathsep.join([str(_ROOT), *sys.path])
        environment["UV_HTTP_RETRIES"] = "2"
        return environment | dict(self.variables) | dict(variables or {})


def make_node(
    index: LocalIndex,
    directory: Path,
    *,
    variables: Mapping[str, str] | None = None,
    python_downloads: bool = False,
) -> Node:
    """Make a node without generations.

    Args:
        index: The index that it installs from.
        directory: A folder of its own, for its prefix, too.
        variables: Further environment variables of its processes.
        python_downloads: Whether its commands may download interpreters.
    """
    return Node(
        index, directory, directory / "prefix", directory / "gens", dict(variables or {}), python_downloads
    )


def check_exit_code(found: int, expected: int, said: str) -> None:
    """Fail with the output of a process if it did not end as expected."""
    if found != expected:
        raise AssertionError(f"the exit code is {found}, not {expected}:\n{said}")


def end_group(process: "subprocess.Popen[str]") -> None:
    """Send SIGKILL to a process and all that it started, and wait for its end."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()


def wait_for_group(process: "subprocess.Popen[str]", timeout_s: float = 120.0) -> None:
    """Wait until nothing runs any more of what a process started, which has ended itself.

    The kernel sends their signal before the process counts as ended, but they end when they get a processor.

    Args:
        process: The process, the first of its group.
        timeout_s: How long to wait.

    Raises:
        TimeoutError: Something of it runs still.
    """
    end_s = time.monotonic() + timeout_s
    while running := [number for number in _running_in(process.pid) if number != process.pid]:
        if time.monotonic() > end_s:
            raise TimeoutError(f"processes {running} of the group {process.pid} run after {timeout_s} s")
        time.sleep(_PAUSE_S)


def _running_in(group: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            state, _, its_group, *_ = path.read_text().rpartition(")")[2].split()
            # The first thread counts as a zombie while others, which hold its files open, still end.
            threads = sum(1 for _ in (path.parent / "task").iterdir())
            if int(its_group) == group and (state not in "ZX" or threads > 1):
                found.append(int(path.parent.name))
    return found
