"""From a changed source file to a pushed image: what it takes, and what goes over the wire.

The source tree is never written to. Bazel looks for the package in a copy of it first (`--package_path`), and
the copy is what changes.
"""

import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import click

from tests.registry.local_registry import LocalRegistry, local_registry

_REPOSITORY = "monobase/daemon"
# Those of the `bazel run` that this is part of, and of its Python, are not for the Bazel that it runs.
_OURS = ("BUILD_", "RUNFILES_", "JAVA_RUNFILES", "PYTHON")


@dataclass(frozen=True, slots=True)
class Push:
    """One push.

    Attributes:
        build_s: Seconds of `bazel build` before it.
        push_s: Seconds of `bazel run //daemon:push`, Bazel's own start included.
        stored_bytes: By how much what the registry keeps has grown.
    """

    build_s: float
    push_s: float
    stored_bytes: int

    @property
    def total_s(self) -> float:
        """Seconds from the change to the pushed image."""
        return self.build_s + self.push_s


@dataclass(frozen=True, slots=True)
class PushCycle:
    """The measurements of one run.

    Attributes:
        cold: The push of a built image into an empty registry.
        touched: The pushes after a change of one source file each.
    """

    cold: Push
    touched: tuple[Push, ...]


def measure_pushes(workspace: Path, directory: Path, rounds: int) -> PushCycle:
    """Push the daemon's image cold, then after changes of one of its source files.

    Args:
        workspace: The source tree; it is only read.
        directory: A folder of the measurement's own.
        rounds: How many changes.

    Returns:
        What they took.

    Raises:
        ClickException: There is no docker-registry, or Bazel failed.
    """
    if shutil.which("docker-registry") is None:
        raise click.ClickException("docker-registry is not on the PATH; the toolbox of ./bazelw has it")
    overlay = directory / "source"
    shutil.copytree(workspace / "daemon", overlay / "daemon")
    source = overlay / "daemon" / "main.py"
    bazel = _Bazel(workspace, overlay)
    try:
        with local_registry(directory / "registry") as registry:
            bazel.run("build", "//daemon:push")
            cold = _push(bazel, registry)
            touched = []
            for number in range(rounds):
                with source.open("a") as stream:
                    stream.write(f"# change {number}\n")
                touched.append(_push(bazel, registry))
    finally:
        bazel.restore()
    return PushCycle(cold, tuple(touched))


def stored_bytes(registry: Path) -> int:
    """Count what a registry keeps: the blobs, each once.

    Args:
        registry: Folder of a `LocalRegistry`.

    Returns:
        The sum of their sizes.
    """
    blobs = registry / "data" / "docker" / "registry" / "v2" / "blobs"
    return sum(path.stat().st_size for path in blobs.glob("*/*/*/data"))


def _push(bazel: "_Bazel", registry: LocalRegistry) -> Push:
    before_bytes = stored_bytes(registry.directory)
    began_s = time.monotonic()
    bazel.run("build", "//daemon:push")
    built_s = time.monotonic()
    bazel.run(
        "run", "//daemon:push", "--", "--repository", f"{registry.host}/{_REPOSITORY}", "--tag", "bench"
    )
    return Push(
        built_s - began_s, time.monotonic() - built_s, stored_bytes(registry.directory) - before_bytes
    )


class _Bazel:
    """Bazel on a source tree with a copy of a package before it."""

    def __init__(self, workspace: Path, overlay: Path) -> None:
        self._workspace = workspace
        self._package_path = f"--package_path={overlay}:{workspace}"
        self._variables = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}

    def run(self, command: str, *arguments: str) -> None:
        """Run a command on the copy."""
        done = self._call([command, self._package_path, *arguments])
        if done.returncode != 0:
            raise click.ClickException(f"bazelw {command} {arguments[0]} failed:\n{done.stdout}")

    def restore(self) -> None:
        """Build the source tree, so that bazel-bin no longer holds the outputs of the copy."""
        self._call(["build", "//daemon:push"])

    def _call(self, arguments: list[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self._workspace / "bazelw", *arguments],
            cwd=self._workspace,
            env=self._variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
