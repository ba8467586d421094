"""Compares a linked environment with its wheels and with what `uv venv` made, byte for byte.

uv does not report a file that it could not link, nor a setting of the machine that makes it add one.
"""

import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from daemon.errors import WheelContentError
from daemon.host.known_contents import KnownContents
from daemon.host.tree_walk import walk_files
from daemon.install.linked_tree import LinkedTree
from daemon.install.placement import Placed, is_of_environment, is_rewritten
from daemon.prefix.inventory import WRITTEN_BY_INSTALLERS, InventoryFile
from daemon.prefix.inventory_cache import InventoryCache
from daemon.prefix.manifest import Link
from daemon.prefix.prefix import Prefix
from daemon.uv.cache import fetched_archive


def list_venv(label: str, directory: Path, python: str) -> dict[str, str]:
    """List the files of an environment without packages, each with its identity.

    Args:
        label: What messages call the environment.
        directory: Its folder, as `uv venv` made it.
        python: Minor version of its interpreter.

    Raises:
        WheelContentError: `uv venv` made more than an environment.
    """
    found = {}
    base = len(str(directory)) + 1
    for path, status in walk_files(str(directory)):
        relative = path[base:]
        if not is_of_environment(relative, python):
            raise WheelContentError(
                f"{label}: `uv venv` made {relative}, which is in no wheel of its lock; a setting of uv "
                "(UV_VENV_SEED and the like) may have asked for it"
            )
        found[relative] = _identity(path, status)
    return found


@dataclass(frozen=True, slots=True)
class LinkCheck:
    """Compares one environment, and lists in it what its manifest names beside the inventories.

    Attributes:
        tree: The environment; its files, links and copies are added to it.
        prefix: The prefix.
        inventories: The inventories of the wheels.
        known: The contents that the run has read.
    """

    tree: LinkedTree
    prefix: Prefix
    inventories: InventoryCache
    known: KnownContents

    def compare(self, placed: Mapping[str, Placed], venv: Mapping[str, str]) -> None:
        """Compare all files and links of the environment with the expected ones.

        Args:
            placed: The files of its wheels, by path.
            venv: The files of the environment itself, by path (`list_venv`).

        Raises:
            WheelContentError: Something differs, is missing, or is in no wheel.
        """
        left, venv_left = dict(placed), dict(venv)
        written = self._written_by_uv()
        plain: list[tuple[str, os.stat_result, InventoryFile]] = []
        for path, status in walk_files(str(self.tree.directory)):
            relative = self._relative(path)
            item = left.pop(relative, None)
            if item is not None:
                if not stat.S_ISREG(status.st_mode):
                    raise self._error(f"{relative} is not a regular file")
                if item.kind == "plain" and item.source is not None:
                    plain.append((path, status, item.source))
                    continue
                self._check_command(path, item)
            elif relative in venv_left:
                if venv_left.pop(relative) != _identity(path, status):
                    raise self._error(f"{relative} is not as `uv venv` made it")
            elif relative not in written:
                raise self._error(
                    f"uv installed {relative}, which is in no wheel of its lock; a setting of uv may "
                    "have asked for it"
                )
            self._list(path, status)
        lacking = [*left, *venv_left]
        if lacking:
            raise self._error(f"uv left out {len(lacking)} files, such as {min(lacking)}")
        self._compare_contents(plain)

    def _compare_contents(self, files: Sequence[tuple[str, os.stat_result, InventoryFile]]) -> None:
        self.known.read((path, status) for path, status, _ in files)
        for path, status, source in files:
            file = self._describe(path, status)
            if (file.sha256, file.mode) != (source.sha256, source.mode):
                raise self._error(
                    f"{file.path} has sha256:{file.sha256} and mode {file.mode:o}, in its wheel "
                    f"sha256:{source.sha256} and {source.mode:o}; install again, which downloads the wheel "
                    "again"
                )
            if file.path != f"{self.tree.packages_directory}/{source.path}":
                self.tree.files.append(file)  # no inventory lists it at this path
            elif status.st_nlink < 2:
                self.tree.copies.append(file)

    def _check_command(self, path: str, item: Placed) -> None:
        """Check a script or an entry point, whose first lines uv writes."""
        content = Path(path).read_bytes()
        if item.source is None:
            module = item.reference.partition(":")[0].strip()
            sound = f"from {module} import ".encode() in content or f"import {module}".encode() in content
        else:
            script = self._content(item.owner, item.source)
            rest = script.partition(b"\n")[2]
            sound = content.endswith(rest) if is_rewritten(script) else content == script
        if not sound:
            raise self._error(f"{item.path} is not what {item.owner} brings there")

    def _content(self, owner: str, file: InventoryFile) -> bytes:
        """Return the content of a file of a wheel."""
        wheels = self.tree.wanted.lock.wheels
        wheel = next(wheel for wheel in wheels if f"{wheel.name} {wheel.version}" == owner)
        return (fetched_archive(self.prefix.uv_cache, wheel) / file.path).read_bytes()

    def _list(self, path: str, status: os.stat_result) -> None:
        """Add a file or link to what the manifest will name."""
        if stat.S_ISLNK(status.st_mode):
            self.tree.links.append(Link(self._relative(path), os.readlink(path)))  # noqa: PTH115 (there are many)
        else:
            self.tree.files.append(self._describe(path, status))

    def _describe(self, path: str, status: os.stat_result) -> InventoryFile:
        sha256 = self.known.digest(path, status)
        return InventoryFile(self._relative(path), sha256, status.st_size, stat.S_IMODE(status.st_mode))

    def _written_by_uv(self) -> set[str]:
        return {
            f"{self.tree.packages_directory}/{self.inventories.get(wheel).stem}.dist-info/{name}"
            for wheel in self.tree.wanted.lock.wheels
            for name in WRITTEN_BY_INSTALLERS
        }

    def _relative(self, path: str) -> str:
        return path[len(str(self.tree.directory)) + 1 :]

    def _error(self, problem: str) -> WheelContentError:
        return WheelContentError(f"{self.tree.wanted.label}: {problem}")


def _identity(path: str, status: os.stat_result) -> str:
    """Return what differs between a file or link and another one of the same name."""
    if stat.S_ISLNK(status.st_mode):
        return f"link {os.readlink(path)}"  # noqa: PTH115 (there are many)
    return f"file {status.st_ino} {status.st_size} {status.st_mtime_ns}"
