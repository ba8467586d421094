"""Stage 4, compile: makes bytecode for the read-only mount, once for each source and interpreter.

The digests of the sources are known, so no source is read to find what is missing. `unchecked-hash` bytecode
holds neither the time nor the path of its source: all environments share it, and Python loads it without a
look at the source. So bytecode that is used again is read again (`daemon/prefix/bytecode_store.py`).
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from daemon.errors import DamageError, WheelContentError
from daemon.host.durability import sync_filesystem
from daemon.host.fault import fault_point
from daemon.host.modes import make_folder
from daemon.install.compile_pool import CompilePool, Identity, Source
from daemon.install.linked_tree import LinkedTree
from daemon.interpreters.running_interpreter import Interpreter
from daemon.prefix.bytecode_list import (
    BytecodeFile,
    bytecode_list_path,
    bytecode_of,
    bytecode_path,
    compiled_sources,
    format_bytecode_list,
    keep_bytecode_lists,
    read_bytecode_list,
)
from daemon.prefix.bytecode_store import BytecodeStore, compiled_name, compiled_names
from daemon.prefix.inventory import Inventory
from daemon.prefix.inventory_cache import InventoryCache
from daemon.prefix.prefix import Prefix
from daemon.report.progress import Stage
from daemon.uv.cache import fetched_archive
from gens.lock import LockedWheel


@dataclass(frozen=True, slots=True)
class Compiler:
    """Compiles and links the bytecode of environments.

    Attributes:
        prefix: The prefix.
        inventories: The inventories of the wheels.
        store: The shared bytecode.
        pool: Runs the worker processes.
        jobs: Number of lists to write at once.
    """

    prefix: Prefix
    inventories: InventoryCache
    store: BytecodeStore
    pool: CompilePool
    jobs: int

    def compile_ahead(self, archive: Path, inventory: Inventory, interpreters: Iterable[Interpreter]) -> None:
        """Begin to compile the sources of a wheel that have no bytecode, before anything links the wheel.

        Args:
            archive: The folder of the wheel in uv's cache.
            inventory: The files of the wheel.
            interpreters: The interpreters of the environments that need it.
        """
        for interpreter in interpreters:
            key = interpreter.bytecode_key
            self.pool.add(
                interpreter,
                [
                    Source(f"{archive}/{file.path}", file.sha256, file.size_bytes, key)
                    for file in inventory.installed_as_is()
                    if file.path.endswith(".py") and self.store.find(key, file.sha256) is None
                ],
            )

    def compile_missing(self, trees: Sequence[LinkedTree], stage: Stage) -> int:
        """Compile each source of some environments that has no bytecode, or damaged bytecode.

        Args:
            trees: The environments, in the staging folder.
            stage: Advanced by each source.

        Returns:
            Number of sources that were given to an interpreter.

        Raises:
            MonobaseError: An interpreter cannot compile anything.
        """
        lists = self._read_lists(trees)
        interpreters = {tree.interpreter.bytecode_key: tree.interpreter for tree in trees}
        count = self._compile(self._missing(lists), interpreters, stage)
        self.store.replace_damaged()
        self._write_lists([(wheel, tree) for wheel, tree, held in lists if held is None])
        fault_point("compile:kept")
        return count

    def link_bytecode(self, tree: LinkedTree) -> None:
        """Link the bytecode of an environment beside its sources.

        Args:
            tree: The environment; its sources were compiled.

        Raises:
            DamageError: Its interpreter makes other bytecode of a source than for an earlier generation.
        """
        base = f"{tree.directory}/{tree.packages_directory}"
        key = tree.interpreter.bytecode_key
        made = set()
        for wheel, file in self._bytecode(tree).values():
            path = f"{base}/{file.path}"
            directory = path.rpartition("/")[0]
            if directory not in made:
                make_folder(directory)
                made.add(directory)
            try:
                self.store.link(key, file.source_sha256, file.sha256, path)
            except FileNotFoundError as error:
                raise DamageError(
                    f"{bytecode_list_path(self.prefix, wheel.sha256, key)}: lists {file.path}, "
                    f"which {tree.interpreter.executable} no longer makes; `verify --repair` "
                    "rebuilds it"
                ) from error

    def _bytecode(self, tree: LinkedTree) -> dict[str, tuple[LockedWheel, BytecodeFile]]:
        """Return the bytecode of an environment by path: as in its manifest, the later of two wheels wins.

        Raises:
            WheelContentError: The later wheel has a source that does not compile, over one that does: Python
                would load the bytecode of the other source.
        """
        found = {}
        for wheel in tree.wanted.lock.wheels:
            for file in read_bytecode_list(self.prefix, wheel.sha256, tree.interpreter.bytecode_key) or ():
                found[file.path] = (wheel, file)
        for path, taken in tree.overlaps.items():
            held = found.get(bytecode_of(path, tree.interpreter.cache_tag)) if path.endswith(".py") else None
            if held is not None and taken.source is not None and held[1].source_sha256 != taken.source.sha256:
                raise WheelContentError(
                    f"{tree.wanted.label}: {taken.owner} brings {path}, which does not compile, over that of "
                    f"{held[0].name} {held[0].version}, which does; leave one of them out"
                )
        return found

    def _read_lists(
        self, trees: Sequence[LinkedTree]
    ) -> list[tuple[LockedWheel, LinkedTree, list[BytecodeFile] | None]]:
        """Return the list of each wheel and interpreter, or None, with a tree that has both."""
        found: dict[tuple[str, str], tuple[LockedWheel, LinkedTree, list[BytecodeFile] | None]] = {}
        for tree in trees:
            for wheel in tree.wanted.lock.wheels:
                key = (wheel.sha256, tree.interpreter.bytecode_key)
                if key in found:
                    continue
                try:
                    held = read_bytecode_list(self.prefix, *key)
                except DamageError:
                    held = None  # it is written again: the same sources give the same list
                found[key] = (wheel, tree, held)
        return list(found.values())

    def _missing(
        self, lists: Iterable[tuple[LockedWheel, LinkedTree, list[BytecodeFile] | None]]
    ) -> dict[Identity, Source]:
        """Find the sources without bytecode, or whose bytecode is damaged."""
        sources: dict[Identity, Source] = {}
        wanted: dict[Identity, tuple[str, str, str]] = {}
        for wheel, tree, held in lists:
            key = tree.interpreter.bytecode_key
            base = f"{tree.directory}/{tree.packages_directory}"
            compiled = None if held is None else {file.source_sha256: file.sha256 for file in held}
            for file in self.inventories.get(wheel).installed_as_is():
                if not file.path.endswith(".py") or (compiled is not None and file.sha256 not in compiled):
                    continue
                sha256 = self.store.find(key, file.sha256) if compiled is None else compiled[file.sha256]
                identity = (key, file.sha256)
                path = f"{base}/{file.path}"
                if not tree.has_file_of(wheel, file.path):
                    path = f"{fetched_archive(self.prefix.uv_cache, wheel)}/{file.path}"
                sources[identity] = Source(path, file.sha256, file.size_bytes, key)
                if sha256 is not None:
                    wanted[identity] = (*identity, sha256)
        sound = self.store.check(wanted.values())
        return {identity: source for identity, source in sources.items() if wanted.get(identity) not in sound}

    def _compile(
        self,
        missing: dict[Identity, Source],
        interpreters: dict[str, Interpreter],
        stage: Stage,
    ) -> int:
        if not missing:
            return 0
        stage.total = len(missing)
        try:
            folders = self.pool.take(missing, stage.advance)
            # What was compiled ahead has no file if its wheel was dropped, or if it does not compile.
            compiled = compiled_names(folders)
            left = {
                identity: source
                for identity, source in missing.items()
                if compiled_name(*identity) not in compiled
            }
            for key, interpreter in interpreters.items():
                self.pool.add(interpreter, (source for source in left.values() if source.key == key))
            folders += self.pool.take(left, stage.advance)
        except BaseException:
            self.pool.close()
            raise
        fault_point("compile:compiled")
        sync_filesystem(self.prefix.root)
        self.store.publish_all(folders)
        return len(missing)

    def _write_lists(self, todo: Sequence[tuple[LockedWheel, LinkedTree]]) -> None:
        with ThreadPoolExecutor(self.jobs) as pool:
            contents = pool.map(lambda item: self._list(*item), todo)
            keep_bytecode_lists(
                self.prefix,
                (
                    (wheel.sha256, tree.interpreter.bytecode_key, content)
                    for (wheel, tree), content in zip(todo, contents, strict=True)
                ),
            )

    def _list(self, wheel: LockedWheel, tree: LinkedTree) -> bytes:
        key = tree.interpreter.bytecode_key
        files = []
        for path, file in compiled_sources(self.inventories.get(wheel), tree.interpreter.cache_tag):
            sha256 = self.store.find(key, file.sha256)
            if sha256 is not None:  # else it does not compile
                size = bytecode_path(self.prefix, key, file.sha256, sha256).stat().st_size
                files.append(BytecodeFile(path, file.sha256, sha256, size))
        return format_bytecode_list(files)
