"""A source tree of its own for `tools:update`, and the wheels of a small index."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import click.testing
import pytest

from gens.catalog import Catalog, load_catalog
from gens.generation import Environment, Generation, Inputs, format_generation
from gens.lock import Lock
from tests.index.client import uv_environment
from tests.index.repository import pytorch_root
from tests.index.server import LocalIndex
from tests.index.wheel import Wheel, WheelSpec
from tools.update import main

PYTHONS = {"3.11": "3.11.10", "3.12": "3.12.7"}
PLATFORM = "x86_64-manylinux_2_28"
EXCLUDE_NEWER = "2026-11-01T00:00:00Z"
LATER = "2026-11-02T00:00:00Z"

Tree = dict[str, bytes]


@dataclass(frozen=True, slots=True)
class Workshop:
    """A source tree with definitions of its own, and a way to run `tools:update` on it."""

    index: LocalIndex
    definitions: Path
    locks: Path
    invoke: Callable[..., click.testing.Result]

    def define(self, *generations: Generation) -> None:
        """Write definitions, as the rules in gens/ do."""
        for generation in generations:
            path = self.definitions / f"{generation.directory_name}.json"
            path.write_text(format_generation(generation))

    def update(
        self, *arguments: str, exit_code: int = 0, with_configuration: bool = True
    ) -> click.testing.Result:
        """Run the command, and check its exit code.

        Args:
            arguments: Its arguments.
            exit_code: The exit code that it must have.
            with_configuration: Whether uv may read the configuration of the machine.
        """
        result = self.invoke(*arguments, with_configuration=with_configuration)
        if result.exit_code != exit_code:
            raise AssertionError(f"exit code {result.exit_code}, not {exit_code}: {result.output}")
        return result

    @property
    def catalog(self) -> Catalog:
        """The definitions and locks as they are now."""
        return load_catalog(self.definitions, self.locks)

    def lock(self, generation_id: int, target: str) -> Lock:
        """Return the lock of a target."""
        generation = self.catalog.generation(generation_id)
        return self.catalog.lock(generation, generation.target(target))

    def versions(self, generation_id: int, target: str) -> dict[str, str]:
        """Return the versions that a lock pins, by package."""
        return {wheel.name: wheel.version for wheel in self.lock(generation_id, target).wheels}

    def tree(self) -> Tree:
        """Return the content of all locks and of `gens.sum`, by path."""
        return {
            str(path.relative_to(self.locks)): path.read_bytes()
            for path in self.locks.rglob("*")
            if path.is_file()
        }


def make_workshop(local_index: LocalIndex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workshop:
    """Make an empty source tree, and serve what its definitions name."""
    definitions, locks = tmp_path / "definitions", tmp_path / "gens"
    definitions.mkdir()
    locks.mkdir()

    def invoke(*arguments: str, with_configuration: bool = True) -> click.testing.Result:
        # An empty cache each time, or uv would not ask the index again.
        environment = uv_environment(local_index, tmp_path / f"run-{len(list(tmp_path.iterdir()))}")
        environment["UV_HTTP_RETRIES"] = "0"
        if with_configuration:
            del environment["UV_NO_CONFIG"]
        with monkeypatch.context() as patch:
            for name in ("UV_OFFLINE", "UV_CONFIG_FILE"):
                patch.delenv(name, raising=False)
            for name, value in environment.items():
                if name.startswith("UV_") or name.lower() in {"home", "no_proxy"}:
                    patch.setenv(name, value)
            command = [*arguments, "--definitions", str(definitions), "--locks", str(locks)]
            return click.testing.CliRunner().invoke(main, command)

    add_seed(local_index)
    return Workshop(local_index, definitions, locks, invoke)


def add_seed(index: LocalIndex) -> None:
    """Serve pip, NumPy, Torch and its CUDA runtime."""
    index.add(WheelSpec("pip", "24.0"))
    index.add(WheelSpec("pip", "27.0"), upload_time=LATER)
    for python in PYTHONS:
        for version in ("1.26.4", "2.1.0"):
            index.add(binary("numpy", version, python))
        index.add(binary("torch", "2.4.1", python, "numpy", "nvidia-cuda-runtime-cu12==12.1.105"))
    index.add(WheelSpec("nvidia-cuda-runtime-cu12", "12.1.105"))


def binary(name: str, version: str, python: str, *requires: str) -> WheelSpec:
    """Return a wheel for one Python."""
    tag = "cp" + python.replace(".", "")
    return WheelSpec(
        name, version, python_tag=tag, abi_tag=tag, platform_tag="manylinux1_x86_64", requires_dist=requires
    )


def inputs(python: str, *requirements: str) -> Inputs:
    """Return inputs for one Python."""
    return Inputs(PYTHONS[python], PLATFORM, EXCLUDE_NEWER, requirements)


def plain(python: str) -> Environment:
    """Return an environment without Torch."""
    return Environment(python, PYTHONS[python], inputs(python, "pip"))


def cell(python: str, build: str = "cu121", cuda: str | None = "12.1") -> Environment:
    """Return an environment with the Torch of the default index."""
    wanted = inputs(python, "torch==2.4.1", "pip")
    return Environment(python, PYTHONS[python], wanted, torch="2.4.1", build=build, cuda=cuda)


def build_cell(python: str, index_url: str) -> Environment:
    """Return an environment with the Torch of another index."""
    wanted = replace(
        inputs(python, "torch==2.4.1+cu118", "pip"), index_url=index_url, index_packages=("torch",)
    )
    return Environment(python, PYTHONS[python], wanted, torch="2.4.1", build="cu118", cuda="11.8")


def generation(
    generation_id: int, *environments: Environment, absences: tuple[Inputs, ...] = ()
) -> Generation:
    """Return a generation of these environments."""
    return Generation(
        id=generation_id,
        platform=PLATFORM,
        exclude_newer=EXCLUDE_NEWER,
        python=PYTHONS,
        environments=environments,
        absences=absences,
    )


def all_cells() -> list[Environment]:
    """Return an environment with Torch and one without for each Python."""
    return [make(python) for python in PYTHONS for make in (plain, cell)]


def add_cu118(index: LocalIndex) -> tuple[str, Wheel]:
    """Serve a build as PyTorch does, with a NumPy that stands in the way of the default index's."""
    root = index.add_root(pytorch_root("cu118"))
    torch = index.add(
        binary("torch", "2.4.1+cu118", "3.11", "numpy", "nvidia-cuda-runtime-cu11==11.8.89"), root
    )
    index.add(binary("torch", "2.4.1+cu118", "3.12"), root)
    index.add(binary("numpy", "1.25.0", "3.11"), root)
    index.add(binary("numpy", "9.0.0", "3.11"), root)
    index.add(WheelSpec("nvidia-cuda-runtime-cu11", "11.8.89"))
    return index.url(root), torch
