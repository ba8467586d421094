"""Stage 3, link: environments in the staging folder, as hard links to uv's cache.

Every wheel is a cache hit by now, so uv only links. It does not tell when it could not, nor when two
packages bring the same path: the tree is compared with the inventories of its wheels.
"""

import csv
import io
import os
import stat
import threading
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from daemon.content_store import ContentStore, file_sha256
from daemon.errors import WheelContentError
from daemon.fetch import format_requirements
from daemon.interpreter import Interpreter
from daemon.inventory import Inventory, InventoryFile, read_inventory, walk_files
from daemon.manifest import Link
from daemon.plan import Wanted
from daemon.prefix import Prefix
from daemon.uv import Uv
from gens.lock import LockedWheel

_CACHED_FILES = 60_000
_UV_LEFTOVERS = (".lock",)  # world-writable, and of use only to a second uv


class InventoryCache:
    """The inventories that were read last, so that environments with the same wheels share them in memory."""

    def __init__(self, prefix: Prefix, max_files: int = _CACHED_FILES) -> None:
        self._prefix = prefix
        self._max_files = max_files
        self._held: OrderedDict[str, Inventory] = OrderedDict()
        self._files = 0
        self._guard = threading.Lock()

    def get(self, wheel: LockedWheel) -> Inventory:
        """Give the inventory of a wheel.

        Raises:
            WheelContentError: The wheel was not fetched.
        """
        with self._guard:
            inventory = self._held.get(wheel.sha256)
            if inventory is not None:
                self._held.move_to_end(wheel.sha256)
                return inventory
        inventory = read_inventory(self._prefix, wheel.sha256)
        if inventory is None:
            raise WheelContentError(f"{wheel.filename}: was not fetched")
        with self._guard:
            if wheel.sha256 not in self._held:
                self._held[wheel.sha256] = inventory
                self._files += len(inventory.files)
            while self._files > self._max_files and len(self._held) > 1:
                _, dropped = self._held.popitem(last=False)
                self._files -= len(dropped.files)
        return inventory


@dataclass(slots=True)
class LinkedTree:
    """An environment in the staging folder.

    Attributes:
        wanted: What it is.
        directory: Where it is.
        interpreter: What it runs on.
        packages_directory: Where packages are in it, relative.
        files: Files that are in it beside those of the inventories.
        links: Symbolic links that are in it.
    """

    wanted: Wanted
    directory: Path
    interpreter: Interpreter
    packages_directory: str
    files: list[InventoryFile] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Linker:
    """What linking needs to know.

    Attributes:
        prefix: The prefix.
        uv: How to run uv.
        store: Where contents are shared.
        inventories: What the wheels hold.
    """

    prefix: Prefix
    uv: Uv
    store: ContentStore
    inventories: InventoryCache

    def link_environment(self, wanted: Wanted, interpreter: Interpreter) -> LinkedTree:
        """Make an environment in the staging folder.

        Args:
            wanted: The environment.
            interpreter: What it runs on.

        Returns:
            The tree.

        Raises:
            WheelContentError: Two packages contradict each other, or the tree is not what its wheels hold.
        """
        directory = self.prefix.staging / f"{wanted.generation.directory_name}.{wanted.target.name}"
        self.uv.run("venv", "--relocatable", "--no-project", "--python", interpreter.executable, directory)
        self._pin_interpreter(directory, interpreter)
        self._install(wanted, directory)
        for name in _UV_LEFTOVERS:
            (directory / name).unlink(missing_ok=True)
        tree = LinkedTree(wanted, directory, interpreter, f"lib/python{interpreter.minor}/site-packages")
        self._check(tree)
        return tree

    def _install(self, wanted: Wanted, directory: Path) -> None:
        by_index: dict[str | None, list[LockedWheel]] = {}
        for wheel in wanted.lock.wheels:
            by_index.setdefault(wanted.index_url(wheel), []).append(wheel)
        for number, (index_url, wheels) in enumerate(by_index.items()):
            requirements = self.prefix.staging / (
                f"{wanted.generation.directory_name}.{wanted.target.name}.{number}.txt"
            )
            requirements.write_text(format_requirements(wheels))
            self.uv.run(
                "pip", "install", "--python", directory / "bin" / "python",
                "--python-platform", wanted.target.inputs.platform, "--offline", "--no-deps",
                "--require-hashes", "--no-build",
                *self.uv.index_options(index_url, self.prefix.staging), "-r", requirements,
            )  # fmt: skip

    def _pin_interpreter(self, directory: Path, interpreter: Interpreter) -> None:
        """Let an environment name its very interpreter, within the prefix by a relative link.

        uv names a managed one by a link of its own for the minor version (`cpython-3.12-…`), which moves on
        when a later generation brings a newer patch release: a sealed environment would change with it.
        """
        program = interpreter.executable
        inside = program.is_relative_to(self.prefix.root)
        link = directory / "bin" / "python"
        link.unlink()
        link.symlink_to(os.path.relpath(program, link.parent) if inside else program)
        configuration = directory / "pyvenv.cfg"
        lines = []
        for line in configuration.read_text(encoding="utf-8").splitlines():
            key = line.partition("=")[0].strip()
            value = {"home": str(program.parent), "version_info": interpreter.version}.get(key)
            lines.append(line if value is None else f"{key} = {value}")
        configuration.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _check(self, tree: LinkedTree) -> None:
        """Compare the tree with the inventories, and share what uv made or copied."""
        prefix = f"{tree.packages_directory}/"
        expected = self._expected(tree.wanted)
        data = self._data_files(tree.wanted)
        base = len(str(tree.directory)) + 1
        own: list[tuple[str, os.stat_result]] = []
        for path, status in walk_files(str(tree.directory)):
            relative = path[base:]
            if stat.S_ISLNK(status.st_mode):
                tree.links.append(Link(relative, os.readlink(path)))  # noqa: PTH115 (there are many)
                continue
            file = expected.pop(relative[len(prefix) :], None) if relative.startswith(prefix) else None
            if file is None:
                own.append((relative, status))
            elif status.st_size != file.size_bytes:
                raise WheelContentError(
                    f"{tree.wanted.label}: {relative} has {status.st_size:,} bytes, "
                    f"in its wheel {file.size_bytes:,}"
                )
            elif status.st_nlink < 2:
                self.store.adopt(path, file.sha256, status)
        if expected:
            raise WheelContentError(
                f"{tree.wanted.label}: uv left out {len(expected)} files, such as {min(expected)}"
            )
        for relative, status in own:
            path = f"{tree.directory}/{relative}"
            # Large data files keep their digest from the inventory; all else that uv makes is small and read.
            held = data.get(relative)
            if held is not None and held.size_bytes == status.st_size:
                sha256 = held.sha256
            else:
                sha256 = file_sha256(path)
            self.store.adopt(path, sha256, status)
            tree.files.append(InventoryFile(relative, sha256, status.st_size, stat.S_IMODE(status.st_mode)))
        self._check_records(tree)

    def _expected(self, wanted: Wanted) -> dict[str, InventoryFile]:
        expected: dict[str, InventoryFile] = {}
        for wheel in wanted.lock.wheels:
            for file in self.inventories.get(wheel).installed_as_is():
                other = expected.setdefault(file.path, file)
                if other is not file and (other.sha256, other.mode) != (file.sha256, file.mode):
                    first = self._who_has(wanted, other)
                    raise _conflict(wanted, first, f"{wheel.name} {wheel.version}", file.path)
        return expected

    def _who_has(self, wanted: Wanted, file: InventoryFile) -> str:
        for wheel in wanted.lock.wheels:
            if any(file is held for held in self.inventories.get(wheel).files):
                return f"{wheel.name} {wheel.version}"
        return "another package"

    def _data_files(self, wanted: Wanted) -> dict[str, InventoryFile]:
        """Give the files of the wheels' `.data/data` folders, by where they are installed to."""
        found: dict[str, InventoryFile] = {}
        for wheel in wanted.lock.wheels:
            for file in self.inventories.get(wheel).files:
                directory, _, path = file.path.partition(".data/data/")
                if not path or "/" in directory:
                    continue
                other = found.setdefault(path, file)
                if other is not file and other.sha256 != file.sha256:
                    raise _conflict(
                        wanted, self._who_has(wanted, other), f"{wheel.name} {wheel.version}", path
                    )
        return found

    def _check_records(self, tree: LinkedTree) -> None:
        """Find scripts and data files that two packages claim with different contents."""
        claimed: dict[str, tuple[str, str]] = {}
        packages = PurePosixPath(tree.packages_directory)
        as_is = {file.path for file in tree.files}
        for file in tree.files:
            if not file.path.endswith(".dist-info/RECORD"):
                continue
            owner = PurePosixPath(file.path).parent.name.removesuffix(".dist-info").replace("-", " ", 1)
            text = (tree.directory / file.path).read_text(encoding="utf-8", errors="surrogateescape")
            for row in csv.reader(io.StringIO(text)):
                if len(row) < 2 or not row[1]:
                    continue
                path = os.path.normpath(packages / row[0])
                if path not in as_is:
                    continue
                other = claimed.setdefault(path, (owner, row[1]))
                if other[1] != row[1]:
                    raise _conflict(tree.wanted, other[0], owner, path)


def _conflict(wanted: Wanted, first: str, second: str, path: str) -> WheelContentError:
    return WheelContentError(
        f"{wanted.label}: {first} and {second} both bring {path}, with different contents: "
        "which one wins would be decided by chance; leave one of them out"
    )
