"""A container of the runtime's image without an engine: its layers, unpacked, with a read-only root."""

import json
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from image.oci.layout import Layout

_UID = "1000"
_TIMEOUT_S = 900


@dataclass(frozen=True, slots=True)
class RuntimeContainer:
    """Starts commands as the image starts them: through its entrypoint, with its variables, as uid 1000.

    Attributes:
        root: The unpacked image.
        variables: Variables of the image.
        entrypoint: Entrypoint of the image.
        mounts: Folders and files of this machine that a command sees at the same path, read-only.
    """

    root: Path
    variables: Mapping[str, str]
    entrypoint: tuple[str, ...]
    mounts: tuple[Path, ...]

    def run(
        self, command: Sequence[str], variables: Mapping[str, str], mounts: Mapping[str, Path]
    ) -> "subprocess.CompletedProcess[str]":
        """Run a command to its end.

        Args:
            command: The command of the entrypoint.
            variables: Its variables beside the image's, as a pod has them.
            mounts: Further folders by the path that the command sees them at, read-only.
        """
        words = [
            "bwrap",
            "--unshare-user",
            "--unshare-pid",
            "--as-pid-1",
            "--die-with-parent",
        ]
        words += ["--uid", _UID, "--gid", _UID, "--cap-drop", "ALL", "--clearenv"]
        for path in sorted(self.root.iterdir()):
            if path.is_symlink():
                words += ["--symlink", str(path.readlink()), f"/{path.name}"]
            elif path.name not in {"dev", "proc", "tmp", "opt", "root"}:
                words += ["--ro-bind", str(path), f"/{path.name}"]
        for path in sorted((self.root / "opt").iterdir()):
            words += ["--ro-bind", str(path), f"/opt/{path.name}"]
        words += ["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"]  # noqa: S108 (as in a pod)
        for target, source in {**{str(path): path for path in self.mounts}, **mounts}.items():
            words += ["--ro-bind", str(source), target]
        for name, value in {**self.variables, **variables}.items():
            words += ["--setenv", name, value]
        words += ["--remount-ro", "/", "--chdir", "/home/model", "--", *self.entrypoint, *command]
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)


def unpack_container(layout: Layout, directory: Path, mounts: Sequence[Path]) -> RuntimeContainer:
    """Unpack an image.

    Args:
        layout: The image.
        directory: The folder to make.
        mounts: Folders and files that every command sees at the same path, read-only.
    """
    directory.mkdir(parents=True)
    for layer in layout.layers:
        with tarfile.open(layout.path(layer)) as archive:
            archive.extractall(directory, filter="fully_trusted")  # noqa: S202 (Bazel built it)
    config = json.loads(layout.path(layout.config).read_bytes())["config"]
    variables = dict(text.split("=", 1) for text in config["Env"])
    return RuntimeContainer(directory, variables, tuple(config["Entrypoint"]), tuple(mounts))
