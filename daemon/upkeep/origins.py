"""The places on a prefix that have the content of a tree's files as well: uv's cache, the shared bytecode."""

from collections.abc import Iterable
from pathlib import Path

from daemon.errors import DamageError
from daemon.prefix.bytecode_list import BytecodeFile, bytecode_path, read_bytecode_list
from daemon.prefix.inventory import InventoryFile, read_inventory
from daemon.prefix.manifest import Manifest
from daemon.upkeep.repair_source import RepairSource
from gens.errors import MonobaseError


class Origins:
    """The origins of some files of a tree: a wheel, the compiler, or neither.

    Attributes:
        bytecode: Key and list entry of each file that is bytecode, by its path.
    """

    def __init__(self, source: RepairSource, label: str, manifest: Manifest, paths: set[str]) -> None:
        self.bytecode: dict[str, tuple[str, BytecodeFile]] = {}
        self._source = source
        self._wheels: dict[str, tuple[str, InventoryFile]] = {}
        for part in manifest.bytecode:
            for entry in read_bytecode_list(source.prefix, part.wheel_sha256, part.key) or ():
                if (path := f"{part.directory}/{entry.path}") in paths:
                    self.bytecode[path] = (part.key, entry)
        for wheel in manifest.wheels:
            inventory = read_inventory(source.prefix, wheel.wheel_sha256)
            for file in inventory.installed_as_is() if inventory is not None else ():
                if (path := f"{wheel.directory}/{file.path}") in paths:
                    self._wheels[path] = (wheel.wheel_sha256, file)
        others = [file for file in manifest.files if file.path in paths]
        if others:
            found = self._find_contents(_wheels_of(source, label, manifest), {file.sha256 for file in others})
            self._wheels |= {file.path: found[file.sha256] for file in others if file.sha256 in found}

    def wheel(self, file: InventoryFile) -> str | None:
        """Return the digest of the wheel that a file comes from; None for one of another origin."""
        found = self._wheels.get(file.path)
        return None if found is None or file.path in self.bytecode else found[0]

    def is_made_by_uv(self, file: InventoryFile) -> bool:
        """Return whether a file comes neither from a wheel nor from the compiler."""
        return file.path not in self.bytecode and self.wheel(file) is None

    def places(self, file: InventoryFile) -> list[Path]:
        """Return where the same inode belongs: damage there is the damage of the file itself."""
        if file.path in self.bytecode:
            key, entry = self.bytecode[file.path]
            return [bytecode_path(self._source.prefix, key, entry.source_sha256, entry.sha256)]
        return [path for path, mode in self._in_archive(file) if mode == file.mode]

    def lenders(self, file: InventoryFile) -> list[Path]:
        """Return where the content is with another mode."""
        return [path for path, mode in self._in_archive(file) if mode != file.mode]

    def _in_archive(self, file: InventoryFile) -> list[tuple[Path, int]]:
        found = self._wheels.get(file.path)
        archive = self._source.archive(found[0]) if found is not None else None
        return [(archive / found[1].path, found[1].mode)] if found is not None and archive is not None else []

    def _find_contents(
        self, wheels: Iterable[str], sha256s: set[str]
    ) -> dict[str, tuple[str, InventoryFile]]:
        """Find files that have another path than in their wheel: data of environments, all of toolkits."""
        found: dict[str, tuple[str, InventoryFile]] = {}
        for wheel in wheels:
            try:
                inventory = read_inventory(self._source.prefix, wheel)
            except DamageError:
                continue
            for file in inventory.files if inventory is not None else ():
                if file.sha256 in sha256s:
                    found.setdefault(file.sha256, (wheel, file))
        return found


def _wheels_of(source: RepairSource, label: str, manifest: Manifest) -> list[str]:
    if manifest.wheels:
        return [part.wheel_sha256 for part in manifest.wheels]
    try:  # the manifest of a toolkit names no wheels
        return [wheel.sha256 for wheel in source.locks.wanted(label).lock.wheels]
    except MonobaseError:
        return []
