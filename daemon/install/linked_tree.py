"""An environment in the staging folder, from linking to its manifest."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from daemon.install.placement import Placed, packages_directory
from daemon.install.wanted import Wanted
from daemon.interpreters.running_interpreter import Interpreter
from daemon.prefix.inventory import InventoryFile
from daemon.prefix.manifest import Link
from gens.lock import LockedWheel


@dataclass(frozen=True, slots=True)
class LinkedTree:
    """An environment in the staging folder.

    Attributes:
        wanted: The environment.
        directory: Its folder.
        interpreter: The interpreter that it runs on.
        files: Its files that no inventory lists at the same path.
        links: Its symbolic links.
        copies: Files of the inventories that are no links to uv's cache.
        overlaps: Files that several of its wheels bring, with different contents: the one that it has, by
            path below its packages.
    """

    wanted: Wanted
    directory: Path
    interpreter: Interpreter
    files: list[InventoryFile] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    copies: list[InventoryFile] = field(default_factory=list)
    overlaps: Mapping[str, Placed] = field(default_factory=dict)

    @property
    def packages_directory(self) -> str:
        """The folder of its packages, relative to its own."""
        return packages_directory(self.interpreter.minor)

    def has_file_of(self, wheel: LockedWheel, path: str) -> bool:
        """Return whether a file of a wheel, by its path below the packages, is not overlaid by another's."""
        taken = self.overlaps.get(path)
        return taken is None or taken.owner == f"{wheel.name} {wheel.version}"
