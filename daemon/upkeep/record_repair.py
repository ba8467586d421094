"""Restores the records that the manifest of a tree refers to: inventories of wheels and lists of bytecode."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from daemon.errors import DamageError
from daemon.host.durability import write_new_file
from daemon.host.file_content import file_sha256
from daemon.host.modes import make_new_folder
from daemon.prefix.bytecode_list import (
    BytecodeFile,
    bytecode_list_path,
    compiled_sources,
    format_bytecode_list,
)
from daemon.prefix.inventory import (
    InventoryFile,
    inventory_path,
    read_inventory,
    take_inventory,
    write_inventory,
)
from daemon.prefix.line_file import has_digest
from daemon.prefix.manifest import BytecodePart, Manifest, WheelPart
from daemon.prefix.mending import remove_anything
from daemon.prefix.publication import publish_record
from daemon.prefix.staging import temporary_path
from daemon.prefix.tree_label import tree_at
from daemon.upkeep.repair_source import RepairSource
from gens.errors import MonobaseError


class RecordRepair:
    """Restores the records of one tree; each has the digest that the manifest names, or is not published."""

    def __init__(self, source: RepairSource, label: str) -> None:
        self._source = source
        self._prefix = source.prefix
        self._label = label
        self._tree = tree_at(source.prefix, label)

    def restore_inventories(self, manifest: Manifest) -> list[str]:
        """Restore the damaged inventories, and return what to report of them.

        Raises:
            MonobaseError: One cannot be restored.
        """
        done = []
        for part in manifest.wheels:
            path = inventory_path(self._prefix, part.wheel_sha256)
            if not _is_sound(path, part.inventory_sha256):
                self._restore_inventory(part, path)
                done.append(f"(inventory {path.name})")
        return done

    def damaged_lists(self, manifest: Manifest) -> list[BytecodePart]:
        """Return the parts of a manifest whose list of bytecode is damaged or missing."""
        return [part for part in manifest.bytecode if not _is_sound(self._list_path(part), part.list_sha256)]

    def restore_lists(self, parts: Iterable[BytecodePart]) -> list[str]:
        """Restore lists of bytecode, and return what to report of them.

        The sources in the tree are undamaged by now.

        Raises:
            MonobaseError: One cannot be restored.
        """
        done = []
        for part in parts:
            if not any(self._publish_list(part, files(part)) for files in (self._found, self._recompiled)):
                raise self._other(self._list_path(part))
            done.append(f"(list of bytecode {self._list_path(part).name})")
        return done

    def _restore_inventory(self, part: WheelPart, path: Path) -> None:
        locked = self._source.locks.wheel(part.wheel_sha256)
        archive = self._source.archive(part.wheel_sha256)
        if locked is not None and archive is not None:
            staged = temporary_path(self._prefix.staging)
            try:
                write_inventory(take_inventory(archive, locked[0]), staged)
            except MonobaseError:
                pass  # the archive is damaged; the index has the wheel
            else:
                if has_digest(staged, part.inventory_sha256):
                    publish_record(self._source.writer, staged, path)
                    return
        remove_anything(path)
        for error in self._source.fetch([part.wheel_sha256]).values():
            raise error
        if not _is_sound(path, part.inventory_sha256):
            raise self._other(path)

    def _list_path(self, part: BytecodePart) -> Path:
        return bytecode_list_path(self._prefix, part.wheel_sha256, part.key)

    def _publish_list(self, part: BytecodePart, compiled: Iterable[BytecodeFile]) -> bool:
        staged = temporary_path(self._prefix.staging)
        write_new_file(staged, format_bytecode_list(list(compiled)))
        if not has_digest(staged, part.list_sha256):
            return False
        publish_record(self._source.writer, staged, self._list_path(part))
        return True

    def _found(self, part: BytecodePart) -> Iterator[BytecodeFile]:
        """List the bytecode that is in the tree."""
        for path, source in self._sources(part):
            yield from _entry(path, source, self._tree / part.directory / path)

    def _recompiled(self, part: BytecodePart) -> Iterator[BytecodeFile]:
        staging = temporary_path(self._prefix.staging)
        make_new_folder(staging)
        sources = list(self._sources(part))
        base = f"{self._tree}/{part.directory}"
        items = (
            (f"{base}/{source.path}", f"{staging}/{source.sha256}", f"{source.sha256}.py")
            for _, source in sources
        )
        self._source.compile(self._tree, part.key, items)
        for path, source in sources:
            yield from _entry(path, source, staging / source.sha256)

    def _sources(self, part: BytecodePart) -> Iterable[tuple[str, InventoryFile]]:
        inventory = read_inventory(self._prefix, part.wheel_sha256)
        return () if inventory is None else compiled_sources(inventory, part.key.rpartition("-")[0])

    def _other(self, path: Path) -> DamageError:
        return DamageError(f"{path}: rebuilt, it is not the one that {self._label} was sealed with")


def _entry(path: str, source: InventoryFile, compiled: Path) -> Iterator[BytecodeFile]:
    if compiled.is_file() and not compiled.is_symlink():
        yield BytecodeFile(path, source.sha256, file_sha256(compiled), compiled.stat().st_size)


def _is_sound(path: Path, sha256: str) -> bool:
    try:
        return has_digest(path, sha256)
    except OSError:
        return False
