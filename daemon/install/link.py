"""Stage 3, link: makes environments in the staging folder, as hard links to uv's cache.

Each wheel is in the cache by then, so uv only links. Two wheels that contradict each other are refused before
uv runs (`placement.py`); what uv made is compared with the wheels (`link_check.py`).
"""

import os
from dataclasses import dataclass
from pathlib import Path

from daemon.host.known_contents import KnownContents
from daemon.install.entry_points import read_entry_points
from daemon.install.link_check import LinkCheck, list_venv
from daemon.install.linked_tree import LinkedTree
from daemon.install.placement import Placed, find_overlaps, place_environment, place_wheel
from daemon.install.wanted import Wanted
from daemon.install.wheel_install import install_wheels
from daemon.interpreters.running_interpreter import Interpreter
from daemon.prefix.content_store import ContentStore
from daemon.prefix.inventory_cache import InventoryCache
from daemon.prefix.manifest import CONTENT_NAME, content_digest
from daemon.prefix.mending import remove_anything
from daemon.prefix.prefix import Prefix
from daemon.prefix.staging import add_file, remove_empty_folders, set_file, set_link, staged_tree
from daemon.uv.cache import fetched_archive
from daemon.uv.program import Uv
from gens.lock import LockedWheel

_UV_LOCK = ".lock"  # world-writable, and of use only to a second uv


@dataclass(frozen=True, slots=True)
class Linker:
    """Links environments from uv's cache.

    Attributes:
        prefix: The prefix.
        uv: Runs uv.
        store: The contents that environments share.
        inventories: The inventories of the wheels.
        known: The contents that the run has read.
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
            interpreter: The interpreter that it runs on.

        Raises:
            WheelContentError: Two packages contradict each other, or the tree is not what its wheels hold.
        """
        placed, overlaps = self._place(wanted, interpreter)  # before uv writes anything
        directory = staged_tree(self.prefix, wanted.generation, wanted.target)
        self.uv.run("venv", "--relocatable", "--no-project", "--python", interpreter.executable, directory)
        self._pin_interpreter(directory, interpreter)
        # Activation compares it with what a layer was locked against; a shell cannot read the manifest.
        add_file(directory / CONTENT_NAME, f"{content_digest(wanted.lock.wheels)}\n".encode())
        venv = list_venv(wanted.label, directory, interpreter.minor)
        install_wheels(self.uv, wanted, directory, interpreter)
        remove_anything(directory / _UV_LOCK)
        tree = LinkedTree(wanted, directory, interpreter, overlaps=overlaps)
        self._settle_overlaps(tree)
        LinkCheck(tree, self.prefix, self.inventories, self.known).compare(placed, venv)
        remove_empty_folders(directory)
        return tree

    def share(self, tree: LinkedTree) -> None:
        """Replace files that uv wrote or copied by the inodes of other environments.

        Args:
            tree: An environment, which is on the disk: a digest must not come to stand for an empty file.
        """
        for file in [*tree.files, *tree.copies]:
            path = f"{tree.directory}/{file.path}"
            self.store.adopt(path, file.sha256, os.lstat(path))

    def _place(self, wanted: Wanted, interpreter: Interpreter) -> tuple[dict[str, Placed], dict[str, Placed]]:
        """Return the files of an environment, and those of them that overlay files of earlier wheels."""
        python = interpreter.minor
        placed = [
            item
            for wheel in wanted.lock.wheels
            for item in place_wheel(
                wheel, self.inventories.get(wheel), python, self._entry_points(wheel, python)
            )
        ]
        files = place_environment(
            wanted.label, placed, python, interpreter.cache_tag, later_wins=wanted.has_stack
        )
        return files, find_overlaps(placed, files, python)

    def _settle_overlaps(self, tree: LinkedTree) -> None:
        """Link the right one of each overlapping file: which one uv has linked last is chance."""
        wheels = {f"{wheel.name} {wheel.version}": wheel for wheel in tree.wanted.lock.wheels}
        for item in tree.overlaps.values():
            if item.source is not None:
                archive = fetched_archive(self.prefix.uv_cache, wheels[item.owner])
                final = tree.directory / item.path
                remove_anything(final)
                self.store.place(f"{archive}/{item.source.path}", str(final), item.source.sha256)

    def _entry_points(self, wheel: LockedWheel, python: str) -> dict[str, str]:
        inventory = self.inventories.get(wheel)
        path = f"{inventory.stem}.dist-info/entry_points.txt"
        if not any(file.path == path for file in inventory.files):
            return {}
        text = (fetched_archive(self.prefix.uv_cache, wheel) / path).read_bytes().decode(errors="replace")
        return read_entry_points(text, wheel, python)

    def _pin_interpreter(self, directory: Path, interpreter: Interpreter) -> None:
        """Point an environment to its exact interpreter, within the prefix by a relative link.

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
