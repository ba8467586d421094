"""Stage 3, link: environments in the staging folder, as hard links to uv's cache.

Every wheel is a cache hit by now, so uv only links. It does not tell when it could not, nor when two
packages bring the same path: what two wheels contradict each other in is refused before uv runs
(`daemon/install/placement.py`), and what uv made is compared with what the wheels hold.
"""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

from daemon.errors import WheelContentError
from daemon.host.known_contents import KnownContents
from daemon.host.tree_walk import walk_files
from daemon.install.placement import (
    Placed,
    is_of_environment,
    is_rewritten,
    packages_directory,
    place_environment,
    place_wheel,
    read_entry_points,
)
from daemon.install.plan import Wanted
from daemon.install.wheel_install import install_wheels
from daemon.interpreters.running_interpreter import Interpreter
from daemon.prefix.content_store import ContentStore
from daemon.prefix.inventory import WRITTEN_BY_INSTALLERS, InventoryFile
from daemon.prefix.inventory_cache import InventoryCache
from daemon.prefix.manifest import Link
from daemon.prefix.mending import remove_anything
from daemon.prefix.prefix import Prefix
from daemon.prefix.staging import remove_empty_folders, set_file, set_link, staged_tree
from daemon.uv.cache import find_archive
from daemon.uv.program import Uv
from gens.lock import LockedWheel

_UV_LEFTOVERS = (".lock",)  # world-writable, and of use only to a second uv


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
        copies: Files of the inventories that are no links to uv's cache.
    """

    wanted: Wanted
    directory: Path
    interpreter: Interpreter
    packages_directory: str
    files: list[InventoryFile] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    copies: list[InventoryFile] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Linker:
    """What linking needs to know.

    Attributes:
        prefix: The prefix.
        uv: How to run uv.
        store: Where contents are shared.
        inventories: What the wheels hold.
        known: What this run has read.
    """

    prefix: Prefix
    uv: Uv
    store: ContentStore
    inventories: InventoryCache
    known: KnownContents

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
        placed = self._place(wanted, interpreter)  # before uv writes anything
        directory = staged_tree(self.prefix, wanted.generation, wanted.target)
        self.uv.run("venv", "--relocatable", "--no-project", "--python", interpreter.executable, directory)
        self._pin_interpreter(directory, interpreter)
        own = self._own_files(wanted, directory, interpreter)
        install_wheels(self.uv, wanted, directory, interpreter)
        for name in _UV_LEFTOVERS:
            remove_anything(directory / name)
        tree = LinkedTree(wanted, directory, interpreter, packages_directory(interpreter.minor))
        self._check(tree, placed, own)
        remove_empty_folders(directory)
        return tree

    def share(self, tree: LinkedTree) -> None:
        """Let what uv made or copied share its inodes with other environments.

        Args:
            tree: An environment, which is on the disk: a digest must not come to stand for an empty file.
        """
        for file in [*tree.files, *tree.copies]:
            path = f"{tree.directory}/{file.path}"
            self.store.adopt(path, file.sha256, os.lstat(path))

    def _place(self, wanted: Wanted, interpreter: Interpreter) -> dict[str, Placed]:
        return place_environment(
            wanted.label,
            (
                item
                for wheel in wanted.lock.wheels
                for item in place_wheel(
                    wheel,
                    self.inventories.get(wheel),
                    interpreter.minor,
                    self._entry_points(wheel, interpreter.minor),
                )
            ),
            interpreter.minor,
            interpreter.cache_tag,
        )

    def _entry_points(self, wheel: LockedWheel, python: str) -> dict[str, str]:
        inventory = self.inventories.get(wheel)
        path = f"{inventory.stem}.dist-info/entry_points.txt"
        if not any(file.path == path for file in inventory.files):
            return {}
        text = (self._archive(wheel) / path).read_bytes().decode(errors="replace")
        return read_entry_points(text, wheel, python)

    def _archive(self, wheel: LockedWheel) -> Path:
        archive = find_archive(self.prefix.uv_cache, wheel)
        if archive is None:
            raise WheelContentError(
                f"{wheel.filename}: is not in uv's cache; run the install again, which downloads it"
            )
        return archive

    def _own_files(self, wanted: Wanted, directory: Path, interpreter: Interpreter) -> dict[str, str]:
        """Give what stands in an environment without packages: what `uv venv` made, and nothing else."""
        found = {}
        base = len(str(directory)) + 1
        for path, status in walk_files(str(directory)):
            relative = path[base:]
            if not is_of_environment(relative, interpreter.minor):
                raise WheelContentError(
                    f"{wanted.label}: `uv venv` made {relative}, which is in no wheel of its lock; a setting "
                    "of uv (UV_VENV_SEED and the like) may have asked for it"
                )
            found[relative] = _identity(path, status)
        return found

    def _pin_interpreter(self, directory: Path, interpreter: Interpreter) -> None:
        """Let an environment name its very interpreter, within the prefix by a relative link.

        uv names a managed one by a link of its own for the minor version (`cpython-3.12-…`), which moves on
        when a later generation brings a newer patch release: a sealed environment would change with it.
        """
        program = interpreter.executable
        inside = program.is_relative_to(self.prefix.root)
        link = directory / "bin" / "python"
        set_link(link, os.path.relpath(program, link.parent) if inside else str(program))
        configuration = directory / "pyvenv.cfg"
        lines = []
        for line in configuration.read_text(encoding="utf-8").splitlines():
            key = line.partition("=")[0].strip()
            value = {"home": str(program.parent), "version_info": interpreter.version}.get(key)
            lines.append(line if value is None else f"{key} = {value}")
        set_file(configuration, ("\n".join(lines) + "\n").encode())

    def _check(self, tree: LinkedTree, placed: dict[str, Placed], own: dict[str, str]) -> None:
        """Compare the tree with what its wheels and the environment itself hold, to the byte."""
        base = len(str(tree.directory)) + 1
        label = tree.wanted.label
        left, own_left = dict(placed), dict(own)
        metadata = self._written_by_uv(tree)
        to_read: list[tuple[str, os.stat_result, InventoryFile]] = []
        for path, status in walk_files(str(tree.directory)):
            relative = path[base:]
            item = left.pop(relative, None)
            if item is not None:
                self._check_kind(label, relative, status)
                if item.kind == "plain" and item.source is not None:
                    to_read.append((path, status, item.source))
                else:
                    self._check_command(tree, path, item)
                    tree.files.append(self._read(path, relative, status))
            elif relative in own_left:
                if own_left.pop(relative) != _identity(path, status):
                    raise WheelContentError(f"{label}: {relative} is not as `uv venv` made it")
                if stat.S_ISLNK(status.st_mode):
                    tree.links.append(Link(relative, os.readlink(path)))  # noqa: PTH115 (there are many)
                else:
                    tree.files.append(self._read(path, relative, status))
            elif relative in metadata:
                tree.files.append(self._read(path, relative, status))
            else:
                raise WheelContentError(
                    f"{label}: uv put {relative} there, which is in no wheel of its lock; a setting of uv "
                    "may have asked for it"
                )
        if left or own_left:
            raise WheelContentError(
                f"{label}: uv left out {len(left) + len(own_left)} files, such as {min([*left, *own_left])}"
            )
        self._compare(tree, to_read, base)

    def _compare(
        self, tree: LinkedTree, files: list[tuple[str, os.stat_result, InventoryFile]], base: int
    ) -> None:
        """Compare bytes and modes with the wheels'; what is no link to uv's cache is to be shared later."""
        self.known.read((path, status) for path, status, _ in files)
        packages = f"{tree.packages_directory}/"
        for path, status, source in files:
            relative = path[base:]
            sha256, mode = self.known.digest(path, status), stat.S_IMODE(status.st_mode)
            if (sha256, mode) != (source.sha256, source.mode):
                raise WheelContentError(
                    f"{tree.wanted.label}: {relative} has sha256:{sha256} and mode {mode:o}, in its wheel "
                    f"sha256:{source.sha256} and {source.mode:o}; install again, which brings the wheel anew"
                )
            stands = InventoryFile(relative, sha256, status.st_size, mode)
            if relative != f"{packages}{source.path}":  # manifests name what is not in site-packages as it is
                tree.files.append(stands)
            elif status.st_nlink < 2:
                tree.copies.append(stands)

    def _check_kind(self, label: str, relative: str, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            raise WheelContentError(f"{label}: {relative} is not a regular file")

    def _check_command(self, tree: LinkedTree, path: str, item: Placed) -> None:
        """Check a script or an entry point, whose first lines uv writes."""
        content = Path(path).read_bytes()
        if item.source is None:
            module = item.reference.partition(":")[0].strip()
            sound = f"from {module} import ".encode() in content or f"import {module}".encode() in content
        else:
            brought = self._brought(tree.wanted, item)
            rest = brought.partition(b"\n")[2]
            sound = content.endswith(rest) if is_rewritten(brought) else content == brought
        if not sound:
            raise WheelContentError(f"{tree.wanted.label}: {item.path} is not what {item.owner} brings there")

    def _brought(self, wanted: Wanted, item: Placed) -> bytes:
        wheel = next(wheel for wheel in wanted.lock.wheels if f"{wheel.name} {wheel.version}" == item.owner)
        path = self._archive(wheel) / item.source.path if item.source is not None else Path()
        return path.read_bytes()

    def _read(self, path: str, relative: str, status: os.stat_result) -> InventoryFile:
        sha256 = self.known.digest(path, status)
        return InventoryFile(relative, sha256, status.st_size, stat.S_IMODE(status.st_mode))

    def _written_by_uv(self, tree: LinkedTree) -> set[str]:
        return {
            f"{tree.packages_directory}/{self.inventories.get(wheel).stem}.dist-info/{name}"
            for wheel in tree.wanted.lock.wheels
            for name in WRITTEN_BY_INSTALLERS
        }


def _identity(path: str, status: os.stat_result) -> str:
    """Tell a file or link from another one of its name."""
    if stat.S_ISLNK(status.st_mode):
        return f"link {os.readlink(path)}"  # noqa: PTH115 (there are many)
    return f"file {status.st_ino} {status.st_size} {status.st_mtime_ns}"
