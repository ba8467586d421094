"""Containers in podman: of the runtime as a restricted pod has them, and of the builder."""

import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from image.errors import EngineError
from image.oci.layout import Layout
from tests.images.engine import Engine, engine

_TIMEOUT_S = 3600
# As the pod of runtime/kubernetes/model: the only folders that can be written to are an emptyDir at /tmp, and
# /dev/shm, which every container of a pod has.
_RESTRICTED = (
    "--user=1000:1000", "--read-only", "--read-only-tmpfs=false", "--tmpfs=/tmp", "--tmpfs=/dev/shm",
    "--cap-drop=all", "--security-opt=no-new-privileges", "--env=HOME=/tmp",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Containers:
    """Starts commands in images as the images start them: through their entrypoint, without a network.

    Attributes:
        podman: The engine.
        runtime: Name of the runtime's image there.
        builder: Name of the builder's image there; None if it was not loaded.
        mounts: Folders and files of this machine by the path that every command sees them at, read-only.
    """

    podman: Engine
    runtime: str
    builder: str | None
    mounts: Mapping[str, Path]

    def run(
        self, command: Sequence[str], variables: Mapping[str, str], layer: Path
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command of a model to its end: as uid 1000, with a read-only root.

        Args:
            command: The command of the entrypoint.
            variables: Its variables beside the image's, as a pod has them.
            layer: The model's layer, at /opt/venv.
        """
        volumes = (f"--volume={layer}:/opt/venv:ro",)
        return self._run((*_RESTRICTED, *volumes), self.runtime, command, variables)

    def build(
        self, command: Sequence[str], variables: Mapping[str, str], folder: Path
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command in the builder to its end.

        Args:
            command: The command.
            variables: Its variables beside the image's.
            folder: A folder that it reads and writes, at the same path.

        Raises:
            EngineError: The builder's image was not loaded.
        """
        if self.builder is None:
            raise EngineError("the image of the builder was not given; name its layout with --builder")
        return self._run((f"--volume={folder}:{folder}",), self.builder, command, variables)

    def _run(
        self, options: Sequence[str], image: str, command: Sequence[str], variables: Mapping[str, str]
    ) -> "subprocess.CompletedProcess[str]":
        return self.podman.run(
            "run", "--rm", "--pull=never", "--network=none", *options,
            *(f"--volume={source}:{target}:ro" for target, source in self.mounts.items()),
            *(f"--env={name}={value}" for name, value in variables.items()),
            image, *command,
            code=None, patience_s=_TIMEOUT_S,
        )  # fmt: skip


@contextmanager
def containers(runtime: Layout, builder: Layout | None, mounts: Mapping[str, Path]) -> Iterator[Containers]:
    """Load images into a podman of one's own, which goes with the context.

    Args:
        runtime: The runtime's image.
        builder: The builder's image, if something is compiled.
        mounts: Folders and files by the path that every command sees them at, read-only.

    Raises:
        EngineError: There is no podman, or this user cannot run it.
    """
    with ExitStack() as stack:
        try:
            podman = stack.enter_context(engine())
        except pytest.skip.Exception as error:
            raise EngineError(str(error)) from error
        names = [podman.pull(f"oci:{it.directory}") if it is not None else None for it in (runtime, builder)]
        yield Containers(podman, str(names[0]), names[1], mounts)
