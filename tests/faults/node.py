"""A node to do harm to: an index, generations of its wheels, and a prefix that a real installer fills."""

import dataclasses
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from daemon.prefix.prefix import Prefix
from daemon.upkeep.verify import verify
from tests.index.client import uv_environment
from tests.index.cuda_set import cudnn_wheel
from tests.index.server import LocalIndex
from tests.index.wheel import Wheel, WheelSpec
from tests.synthetic.catalog import PYTHON, Cell, environment_cell, toolkit_cell, write_catalog

SITE = f"lib/python{PYTHON}/site-packages"
PLAIN = f"python{PYTHON}"
BYTECODE_SUFFIX = f"cpython-{PYTHON.replace('.', '')}.pyc"
_ROOT = Path(__file__).parent.parent.parent
_TIMEOUT_S = 120


@dataclass(frozen=True, slots=True)
class Node:
    """One node.

    Attributes:
        index: What it installs from.
        directory: A folder of its own.
        root: Its prefix.
        gens: The folder of its definitions and locks.
    """

    index: LocalIndex
    directory: Path
    root: Path
    gens: Path

    @property
    def prefix(self) -> Prefix:
        """The places of the prefix."""
        return Prefix(self.root)

    def define(self, *cells: Cell, generation: int = 0) -> None:
        """Define a generation, beside the ones that are defined."""
        write_catalog(self.gens, {generation: cells})

    def with_prefix(self, root: Path) -> "Node":
        """Return a node with the same generations and another prefix."""
        return dataclasses.replace(self, root=root)

    def command(self, verb: str, *arguments: str) -> list[str]:
        """Return the command line of the installer."""
        own = [] if verb == "status" else ["--gens", str(self.gens)]
        if verb in {"install", "run"} or "--repair" in arguments:
            own.append("--no-python-downloads")
        return [sys.executable, "-m", "daemon.main", verb, *arguments, "--prefix", str(self.root), *own]

    def start(
        self, *arguments: str, variables: Mapping[str, str] | None = None, before: Sequence[str] = ()
    ) -> "subprocess.Popen[str]":
        """Start an install in a process group of its own.

        Args:
            arguments: Further arguments of `install`.
            variables: Further environment variables.
            before: What runs the command, such as strace with its options.

        Returns:
            The process, whose standard error is a pipe.
        """
        return subprocess.Popen(
            [*before, *self.command("install", *arguments)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env=self.variables(variables), cwd=self.directory, start_new_session=True,
        )  # fmt: skip

    def spawn(
        self, verb: str, *arguments: str, said: IO[bytes], variables: Mapping[str, str], before: Sequence[str]
    ) -> "subprocess.Popen[bytes]":
        """Start any command in a process group of its own.

        Args:
            verb: The command.
            arguments: Further arguments of it.
            said: Where its standard error goes.
            variables: Further environment variables.
            before: What runs the command, such as strace with its options.
        """
        return subprocess.Popen(
            [*before, *self.command(verb, *arguments)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=said,
            env=self.variables(variables), cwd=self.directory, start_new_session=True,
        )  # fmt: skip

    def install(
        self,
        *arguments: str,
        code: int = 0,
        variables: Mapping[str, str] | None = None,
        before: Sequence[str] = (),
    ) -> str:
        """Run an install to its end, and give what it said.

        Args:
            arguments: Further arguments of `install`.
            code: The exit code that it must have.
            variables: Further environment variables.
            before: What runs the command.
        """
        process = self.start(*arguments, variables=variables, before=before)
        try:
            _, said = process.communicate(timeout=_TIMEOUT_S)
        finally:
            end_group(process)
        check_exit_code(process.returncode, code, said)
        return said

    def verify(self, code: int = 0) -> str:
        """Run `verify`, and give what it said."""
        return self.run("verify", code=code).stdout

    def run(
        self, verb: str, *arguments: str, code: int = 0, variables: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end.

        Args:
            verb: The command, such as `prune`.
            arguments: Its further arguments; `--prefix` is given anyway.
            code: The exit code that it must have.
            variables: Further environment variables.

        Returns:
            What it said.
        """
        done = subprocess.run(
            self.command(verb, *arguments),
            capture_output=True, text=True, check=False, env=self.variables(variables), cwd=self.directory,
            timeout=_TIMEOUT_S,
        )  # fmt: skip
        check_exit_code(done.returncode, code, done.stdout + done.stderr)
        return done

    def differences(self) -> list[str]:
        """Verify everything that stands under a final name, without the cost of a process."""
        found = verify(self.prefix, self.prefix.installed_generations(), jobs=1)
        return [str(finding) for finding in found.findings]

    def environment(self, name: str = PLAIN, generation: str = "g00000") -> Path:
        """Return the folder of an environment, or the link to a toolkit."""
        return self.prefix.generation(generation) / name

    def is_sealed(self, generation: str = "g00000") -> bool:
        """Return whether a generation has its mark."""
        return self.prefix.sealed_mark(generation).exists()

    def variables(self, variables: Mapping[str, str] | None = None) -> dict[str, str]:
        """Return the environment variables of an installer, with further ones."""
        environment = uv_environment(self.index, self.directory)
        for name in ("UV_CACHE_DIR", "UV_PYTHON_INSTALL_DIR"):
            environment.pop(name)
        environment["PATH"] = f"{Path(sys.base_prefix) / 'bin'}:{environment['PATH']}"
        environment["PYTHONPATH"] = os.pathsep.join([str(_ROOT), *sys.path])
        environment["UV_HTTP_RETRIES"] = "2"
        return environment | dict(variables or {})


def make_node(index: LocalIndex, directory: Path) -> Node:
    """Make a node without generations."""
    return Node(index, directory, directory / "prefix", directory / "gens")


def add_wheel(node: Node, name: str = "alpha", version: str = "1.0", **settings: object) -> Wheel:
    """Put a wheel on the index of a node; without `files` it holds one module that says its name."""
    settings.setdefault("files", {f"{name}/__init__.py": f"NAME = '{name} {version}'\n".encode()})
    return node.index.add(WheelSpec(name, version, **settings))  # type: ignore[arg-type]


def define_small_generation(node: Node) -> None:
    """Define three environments and two toolkits with few files, in which everything is shared somehow.

    A library that a toolkit and an environment bring; one content in two wheels; a script, a data file and
    a header; two versions of a package.
    """
    same = b"\x7fELF" + b"same content in two wheels" * 40
    cublas = add_wheel(
        node, "nvidia-cublas-cu12", "12.4.5.8",
        files={
            "nvidia/cublas/lib/libcublas.so.12": b"\x7fELF cublas", "nvidia/cublas/include/cublas.h": b"//\n",
        },
    )  # fmt: skip
    cudnn = node.index.add(cudnn_wheel("9.1.0.70", 12))
    alpha = add_wheel(
        node,
        files={"alpha/__init__.py": b"NAME = 'alpha'\n", "alpha/part.py": b"x = 1\n", "alpha/same": same},
        console_scripts={"alpha-tool": "alpha:main"},
        data={"data/share/alpha/model.bin": b"weights", "headers/alpha.h": b"//\n"},
    )
    old, new = (
        add_wheel(
            node, "torch", version,
            files={"torch/__init__.py": f"v = '{version}'\n".encode(), "torch/lib/same.so": same},
        )
        for version in ("2.4.1", "2.5.1")
    )  # fmt: skip
    node.define(
        environment_cell([alpha]),
        environment_cell([alpha, old, cublas, cudnn], "2.4.1", "cu124"),
        environment_cell([alpha, new, cublas], "2.5.1", "cu124"),
        toolkit_cell([cublas], "12.4.1"),
        toolkit_cell([cudnn], "9.1.0.70", "12"),
    )


def check_exit_code(found: int, expected: int, said: str) -> None:
    """Fail, with what a process said, when it did not end as expected."""
    if found != expected:
        raise AssertionError(f"the exit code is {found}, not {expected}:\n{said}")


def end_group(process: "subprocess.Popen[str]") -> None:
    """Send SIGKILL to a process and all that it started, and wait until none is left to write."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    process.wait()
