"""An environment in the staging folder, from linking to its manifest."""

from dataclasses import dataclass, field
from pathlib import Path

from daemon.install.placement import packages_directory
from daemon.install.wanted import Wanted
from daemon.interpreters.running_interpreter import Interpreter
from daemon.prefix.inventory import InventoryFile
from daemon.prefix.manifest import Link


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
    """

    wanted: Wanted
    directory: Path
    interpreter: Interpreter
    files: list[InventoryFile] = field(default_factory=list)
    links: list[Link] = field(default_factory=list)
    copies: list[InventoryFile] = field(default_factory=list)

    @property
    def packages_directory(self) -> str:
        """The folder of its packages, relative to its own."""
        return packages_directory(self.interpreter.minor)
