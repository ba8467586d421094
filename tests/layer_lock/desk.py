"""An author's desk: a generation with locks of its own, a folder of work, and the command `//tools:layer`."""

import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import click.testing
import pytest

from layers.lock import LayerLock, read_layer_lock
from tests.index.client import uv_environment
from tests.index.server import LocalIndex
from tests.index.wheel import Wheel, WheelSpec
from tests.update.workshop import Workshop, all_cells, generation, make_workshop
from tools.layer.cli import main
from tools.layer.source_digest import file_digest

DATE = "2026-11-10T00:00:00Z"
TORCH = "3.12-torch2.4.1"


@dataclass(frozen=True, slots=True)
class Desk:
    """A folder of work, and a way to run the command in it.

    Attributes:
        index: The index that uv reaches.
        folder: The author's working directory.
        workshop: Definitions and locks of the generations.
        invoke: Runs the command.
    """

    index: LocalIndex
    folder: Path
    workshop: Workshop
    invoke: Callable[..., click.testing.Result]

    def write(self, text: str, name: str = "requirements.in") -> None:
        """Write a file of the author."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run(self, *arguments: str, exit_code: int = 0) -> str:
        """Run the command, check its exit code, and return all that it printed."""
        result = self.invoke(*arguments)
        if result.exit_code != exit_code:
            raise AssertionError(f"exit code {result.exit_code}, not {exit_code}: {result.output}")
        return result.output

    def lock(self, requirements: str, *options: str, env: str = TORCH) -> LayerLock:
        """Lock requirements with a fixed date, and return the lock."""
        self.write(requirements)
        self.run("lock", "requirements.in", "--env", env, "--exclude-newer", DATE, *options)
        return self.read()

    def read(self) -> LayerLock:
        """Return the lock of the working directory."""
        return read_layer_lock(self.folder / "model.lock")


def make_desk(local_index: LocalIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """Make a desk with generation 0: Python 3.11 and 3.12, each with Torch 2.4.1 and without."""
    workshop = make_workshop(local_index, tmp_path, monkeypatch)
    workshop.define(generation(0, *all_cells()))
    workshop.update("--min-gen-id", "0")
    folder = tmp_path / "work"
    folder.mkdir()

    def invoke(*arguments: str) -> click.testing.Result:
        # An empty cache each time, or uv would not ask the index again.
        environment = uv_environment(local_index, tmp_path / f"run-{len(list(tmp_path.iterdir()))}")
        environment["UV_HTTP_RETRIES"] = "0"
        with monkeypatch.context() as patch:
            for name, value in environment.items():
                if name.startswith("UV_") or name.lower() in {"home", "no_proxy"}:
                    patch.setenv(name, value)
            patch.setenv("BUILD_WORKING_DIRECTORY", str(folder))
            trees = ("--definitions", str(workshop.definitions), "--locks", str(workshop.locks))
            return click.testing.CliRunner().invoke(main, [*arguments, *trees])

    return Desk(local_index, folder, workshop, invoke)


def versions(lock: LayerLock) -> dict[str, str]:
    """Return the version of each package of a lock."""
    return {wheel.name: wheel.version for wheel in lock.wheels}


def pure(name: str, version: str, *requires: str) -> WheelSpec:
    """Return a wheel for any Python."""
    return WheelSpec(name, version, requires_dist=requires, files={f"{name.replace('-', '_')}.py": b""})


def add_sdist(desk: Desk, folder: Path, name: str, version: str) -> None:
    """Serve a source distribution, of metadata that need no build."""
    metadata = f"Metadata-Version: 2.2\nName: {name}\nVersion: {version}\n"
    source = folder / f"{name}-{version}"
    source.mkdir()
    (source / "PKG-INFO").write_text(metadata)
    (source / "pyproject.toml").write_text("[build-system]\nrequires = []\n")
    path = folder / f"{source.name}.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(source, source.name)
    digest = file_digest(path)
    desk.index.add(Wheel(WheelSpec(name, version), path, path.stat().st_size, digest, metadata.encode()))
