"""A desk to mirror from: generations, an index that has their wheels, and the command as a process."""

import os
import subprocess
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

from gens.catalog import Catalog, load_catalog
from tests.index.client import uv_environment
from tests.index.repository import pytorch_root
from tests.index.server import LocalIndex
from tests.index.wheel import Wheel, WheelSpec
from tests.node.node import make_node
from tests.synthetic.catalog import Cell, environment_cell, on_platform, toolkit_cell, write_catalog

LARGE_BYTES = 3_000_000
ENVIRONMENT = "g00001-python3.11-torch2.4.1-cpu"


@dataclass(frozen=True, slots=True)
class Desk:
    """A desk to mirror from.

    Attributes:
        folder: A folder of the test.
        index: The index.
        definitions: The definitions and locks: generations 0 and 1.
        large: The largest wheel, of generation 1.
        old: A wheel that only generation 0 has.
        toolkit: The only wheel of `cuda12.4` in generation 1.
        variables: Further environment variables of the command.
    """

    folder: Path
    index: LocalIndex
    definitions: Path
    large: Wheel
    old: Wheel
    toolkit: Wheel
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def catalog(self) -> Catalog:
        """The definitions and locks."""
        return load_catalog(self.definitions)

    def wheels(self, generation_id: int = 1) -> set[str]:
        """Return the digests of the wheels of a generation."""
        generation = self.catalog.generation(generation_id)
        locks = (self.catalog.lock(generation, target) for target in generation.targets)
        return {wheel.sha256 for lock in locks for wheel in lock.wheels}

    def sizes(self) -> dict[str, int]:
        """Return the sizes of the wheels of generation 1 by their digests."""
        generation = self.catalog.generation(1)
        locks = (self.catalog.lock(generation, target) for target in generation.targets)
        return {wheel.sha256: wheel.size_bytes for lock in locks for wheel in lock.wheels}

    def arguments(self, *arguments: str, interpreters: bool = False) -> list[str]:
        """Return the arguments of a mirror of generation 1, unless some name another."""
        named = any(argument.endswith("gen-id") or argument == "--gen" for argument in arguments)
        return [
            "--definitions", str(self.definitions), "--locks", str(self.definitions), *arguments,
            *([] if named else ["--gen", "1"]), *([] if interpreters else ["--no-interpreters"]),
        ]  # fmt: skip

    def command(self, *arguments: str, interpreters: bool = False) -> list[str]:
        """Return the command line of a mirror."""
        options = self.arguments(*arguments, interpreters=interpreters)
        return [sys.executable, "-m", "tools.mirror.cli", *options]

    def environment(self) -> dict[str, str]:
        """Return the environment of the command: a home without anything of the machine's."""
        return {
            **uv_environment(self.index, self.folder),
            "PYTHONPATH": os.pathsep.join(sys.path),
            "PYTHONDONTWRITEBYTECODE": "1",
            **self.variables,
        }

    def mirror(
        self, *arguments: str, exit_code: int = 0, interpreters: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run the command, and check its exit code and that it shows no traceback."""
        done = subprocess.run(
            self.command(*arguments, interpreters=interpreters), env=self.environment(), capture_output=True,
            text=True, check=False,
        )  # fmt: skip
        if done.returncode != exit_code or "Traceback" in done.stderr:
            raise AssertionError(f"exit code {done.returncode}, not {exit_code}: {done.stdout}{done.stderr}")
        return done

    def for_python(self, version: str) -> "Desk":
        """Return a desk whose only generation, 0, is for a Python that uv knows: not each machine's is."""
        node = make_node(self.index, self.folder / f"python{version}")
        node.define(environment_cell([node.wheel("gamma")], python=version))
        return replace(self, definitions=node.gens)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Run the command without waiting for its end."""
        return subprocess.Popen(
            self.command(*arguments), env=self.environment(), stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip


def make_desk(index: LocalIndex, folder: Path) -> Desk:
    """Fill an index, and write two generations that share wheels; the second has two machines and indexes."""
    old = index.add(WheelSpec("left-behind", "1.0", files={"left_behind.py": b""}))
    shared = index.add(WheelSpec("shared", "2.0", files={"shared.py": b"VALUE = 2\n"}))
    local = index.add_root(pytorch_root("cpu"))
    large = index.add(
        WheelSpec("torch", "2.4.1+cpu", files={"torch/__init__.py": b"", "torch/lib": bytes(LARGE_BYTES)}),
        local,
    )
    toolkit = index.add(WheelSpec("nvidia-cuda-nvcc", "12.4.1", files={"nvidia/nvcc": b"nvcc"}))
    first = [environment_cell([shared, old])]
    torch = environment_cell([shared, large], "2.4.1", index_url=index.url(local), index_packages=["torch"])
    second: list[Cell] = [environment_cell([shared]), torch, on_platform(torch)]
    second.append(toolkit_cell([toolkit], "12.4.1"))
    definitions = write_catalog(folder / "definitions", {0: first, 1: second})
    return Desk(folder, index, definitions, large, old, toolkit)


def tree_of(folder: Path) -> dict[str, bytes]:
    """Return the files of a folder that readers see, by their paths."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.relative_to(folder).parts[0] not in {".lock", ".partial"}
    }
