"""Stage 4, compile: bytecode for the read-only mount, once for each source and interpreter.

The digests of the sources are known, so finding what is missing reads none of them. `unchecked-hash` bytecode
holds neither the time nor the path of its source, so all environments share it, and Python does not even look
at the source when it loads it. So bytecode that is used again is read again
(`daemon/prefix/bytecode_store.py`).
"""

import errno
import os
import shutil
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from daemon.errors import DamageError, InterpreterError, NewerFormatError
from daemon.host.durability import sync_directory, sync_filesystem, write_new_file
from daemon.host.fault import fault_point
from daemon.host.file_content import copy_file, same_content
from daemon.host.modes import make_folder, make_new_folder
from daemon.install.link import InventoryCache, LinkedTree
from daemon.install.placement import bytecode_of
from daemon.interpreters.compile_run import run_compile_worker
from daemon.interpreters.interpreter import Interpreter
from daemon.prefix.bytecode_list import (
    BytecodeFile,
    bytecode_list_path,
    bytecode_path,
    format_bytecode_list,
    read_bytecode_list,
)
from daemon.prefix.bytecode_store import BytecodeStore
from daemon.prefix.manifest import MANIFEST_NAME, BytecodePart, read_manifest
from daemon.prefix.mending import remove_anything
from daemon.prefix.prefix import Prefix
from daemon.prefix.staging import temporary_path
from daemon.report.progress import Stage
from gens.lock import LockedWheel

_BATCH_BYTES = 3_000_000


@dataclass(frozen=True, slots=True)
class Source:
    """A source that has no bytecode yet."""

    path: str
    sha256: str
    size_bytes: int
    key: str


@dataclass(frozen=True, slots=True)
class Compiler:
    """What compiling needs to know.

    Attributes:
        prefix: The prefix.
        inventories: What the wheels hold.
        store: The shared bytecode.
        jobs: How many worker processes there may be.
        links: Whether bytecode is linked into environments; where it cannot be, it is copied.
        inherit: Descriptors that workers keep: the writer's lock.
    """

    prefix: Prefix
    inventories: InventoryCache
    store: BytecodeStore
    jobs: int
    links: bool = True
    inherit: tuple[int, ...] = ()
    _renewal: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def compile_missing(self, trees: Sequence[LinkedTree], stage: Stage) -> int:
        """Compile every source of some environments that has no bytecode yet, or whose bytecode is damaged.

        Args:
            trees: The environments, in the staging folder.
            stage: Advanced by each source.

        Returns:
            How many sources were given to an interpreter.

        Raises:
            MonobaseError: An interpreter cannot compile anything.
        """
        lists = self._read_lists(trees)
        interpreters = {tree.interpreter.bytecode_key: tree.interpreter for tree in trees}
        count = self._compile(self._missing(lists), interpreters, stage)
        self._replace_damaged()
        self._write_lists([(wheel, tree) for wheel, tree, held in lists if held is None])
        fault_point("compile:kept")
        return count

    def link_bytecode(self, tree: LinkedTree) -> None:
        """Put the bytecode of an environment beside its sources.

        Args:
            tree: The environment; its sources were compiled.

        Raises:
            DamageError: What its interpreter makes of a source is not what it made for an earlier generation.
        """
        base = f"{tree.directory}/{tree.packages_directory}"
        key = tree.interpreter.bytecode_key
        made = set()
        for wheel in tree.wanted.lock.wheels:
            for file in read_bytecode_list(self.prefix, wheel.sha256, key) or ():
                path = f"{base}/{file.path}"
                directory = path.rpartition("/")[0]
                if directory not in made:
                    make_folder(directory)
                    made.add(directory)
                shared = bytecode_path(self.prefix, key, file.source_sha256, file.sha256)
                try:
                    self._link(shared, path)
                except FileNotFoundError as error:
                    raise DamageError(
                        f"{bytecode_list_path(self.prefix, wheel.sha256, key)}: lists {file.path}, "
                        f"which {tree.interpreter.executable} does not make any more; `verify --repair` "
                        "makes it anew"
                    ) from error

    def _read_lists(
        self, trees: Sequence[LinkedTree]
    ) -> list[tuple[LockedWheel, LinkedTree, list[BytecodeFile] | None]]:
        """Give the list of each wheel and interpreter, or None, with a tree that holds both."""
        found: dict[tuple[str, str], tuple[LockedWheel, LinkedTree, list[BytecodeFile] | None]] = {}
        for tree in trees:
            for wheel in tree.wanted.lock.wheels:
                key = (wheel.sha256, tree.interpreter.bytecode_key)
                if key in found:
                    continue
                try:
                    held = read_bytecode_list(self.prefix, *key)
                except DamageError:
                    held = None  # it is made anew: the same sources give the same list
                found[key] = (wheel, tree, held)
        return list(found.values())

    def _missing(
        self, lists: Iterable[tuple[LockedWheel, LinkedTree, list[BytecodeFile] | None]]
    ) -> dict[tuple[str, str], Source]:
        """Find the sources without bytecode that is known to be right."""
        sources: dict[tuple[str, str], Source] = {}
        wanted: dict[tuple[str, str], tuple[str, str, str]] = {}
        for wheel, tree, held in lists:
            key = tree.interpreter.bytecode_key
            base = f"{tree.directory}/{tree.packages_directory}"
            compiled = None if held is None else {file.source_sha256: file.sha256 for file in held}
            for file in self.inventories.get(wheel).installed_as_is():
                if not file.path.endswith(".py") or (compiled is not None and file.sha256 not in compiled):
                    continue
                sha256 = self.store.find(key, file.sha256) if compiled is None else compiled[file.sha256]
                identity = (key, file.sha256)
                sources[identity] = Source(f"{base}/{file.path}", file.sha256, file.size_bytes, key)
                if sha256 is not None:
                    wanted[identity] = (*identity, sha256)
        sound = self.store.check(wanted.values())
        return {identity: source for identity, source in sources.items() if wanted.get(identity) not in sound}

    def _compile(
        self,
        missing: dict[tuple[str, str], Source],
        interpreters: dict[str, Interpreter],
        stage: Stage,
    ) -> int:
        if not missing:
            return 0
        stage.total = len(missing)
        staging = temporary_path(self.prefix.staging)
        make_new_folder(staging)
        batches = [
            (interpreter, batch)
            for key, interpreter in interpreters.items()
            for batch in _batches(missing.values(), key)
        ]
        with ThreadPoolExecutor(self.jobs) as pool:
            for count in pool.map(lambda item: self._compile_batch(item[0], item[1], staging), batches):
                stage.advance(count)
        fault_point("compile:compiled")
        sync_filesystem(self.prefix.root)
        for key in interpreters:
            self.store.make_directories(key)
        for entry in list(os.scandir(staging)):
            key, _, source_sha256 = entry.name.rpartition(".")
            self.store.publish(entry.path, key, source_sha256, links=self.links)
        shutil.rmtree(staging)
        return len(missing)

    def _compile_batch(self, interpreter: Interpreter, sources: Sequence[Source], staging: Path) -> int:
        """Compile some sources; one that ends its interpreter has no bytecode, and all others have."""
        error = self._run_worker(interpreter, sources, staging)
        if error is None:
            return len(sources)
        broken = self._run_worker(interpreter, (), staging)
        if broken is not None:
            raise broken
        if len(sources) > 1:
            for source in sources:
                self._compile_batch(interpreter, [source], staging)
        return len(sources)

    def _write_lists(self, todo: Sequence[tuple[LockedWheel, LinkedTree]]) -> None:
        staged = []
        with ThreadPoolExecutor(self.jobs) as pool:
            for (wheel, tree), content in zip(
                todo, pool.map(lambda item: self._list(*item), todo), strict=True
            ):
                path = temporary_path(self.prefix.staging)
                write_new_file(path, content)
                key = tree.interpreter.bytecode_key
                staged.append((path, bytecode_list_path(self.prefix, wheel.sha256, key)))
        if not staged:
            return
        sync_filesystem(self.prefix.root)
        for path, final in staged:
            if final.is_dir():
                remove_anything(final)
            path.rename(final)
        sync_directory(self.prefix.wheels)

    def _run_worker(
        self, interpreter: Interpreter, sources: Sequence[Source], staging: Path
    ) -> InterpreterError | None:
        items = [
            (source.path, f"{staging}/{source.key}.{source.sha256}", f"{source.sha256}.py")
            for source in sources
        ]
        try:
            run_compile_worker(interpreter, items, self.inherit)
        except InterpreterError as error:
            return error
        return None

    def _list(self, wheel: LockedWheel, tree: LinkedTree) -> bytes:
        key = tree.interpreter.bytecode_key
        files = []
        inventory = self.inventories.get(wheel)
        brought = {file.path for file in inventory.files if file.path.endswith(".pyc")}
        for file in inventory.installed_as_is():
            path = bytecode_of(file.path, tree.interpreter.cache_tag)
            if not file.path.endswith(".py") or path in brought:
                continue  # bytecode of the wheel's own is part of what its lock pins
            sha256 = self.store.find(key, file.sha256)
            if sha256 is not None:  # else it does not compile
                size = bytecode_path(self.prefix, key, file.sha256, sha256).stat().st_size
                files.append(BytecodeFile(path, file.sha256, sha256, size))
        return format_bytecode_list(files)

    def _replace_damaged(self) -> None:
        """Let what was made anew take the place of damaged bytecode in all environments that link it."""
        damaged = {(item.key, item.source_sha256, item.sha256): item.identity for item in self.store.damaged}
        keys = {item.key for item in self.store.damaged}
        if not damaged:
            return
        for name in self.prefix.installed_generations():
            for manifest in self.prefix.generation(name).glob(f"*/{MANIFEST_NAME}"):
                try:
                    parts = [part for part in read_manifest(manifest).bytecode if part.key in keys]
                    for part in parts:
                        self._replace_in(manifest.parent / part.directory, part, damaged)
                except (DamageError, NewerFormatError):
                    continue  # `verify` tells of it, and repairs it
        self.store.damaged.clear()

    def _replace_in(
        self, directory: Path, part: BytecodePart, damaged: dict[tuple[str, str, str], tuple[int, int]]
    ) -> None:
        for file in read_bytecode_list(self.prefix, part.wheel_sha256, part.key) or ():
            identity = damaged.get((part.key, file.source_sha256, file.sha256))
            shared = bytecode_path(self.prefix, part.key, file.source_sha256, file.sha256)
            if identity is None or not shared.exists():
                continue
            path = directory / file.path
            try:
                status = path.lstat()
            except (FileNotFoundError, NotADirectoryError):
                continue
            if (status.st_dev, status.st_ino) == identity:
                fresh = temporary_path(self.prefix.staging)
                self._link(shared, str(fresh))
                fresh.rename(path)

    def _link(self, source: Path, path: str) -> None:
        if not self.links:
            copy_file(source, path)
            return
        try:
            os.link(source, path)
        except FileExistsError:
            if not same_content(source, path):  # the same is there when two packages bring one source
                raise
        except OSError as error:
            if error.errno != errno.EMLINK:
                raise
            self._renew_and_link(source, path)

    def _renew_and_link(self, source: Path, path: str) -> None:
        """Let a second copy take the place of an inode that has no link to give any more."""
        with self._renewal:
            try:
                os.link(source, path)  # another thread may have been first
            except OSError as error:
                if error.errno != errno.EMLINK:
                    raise
                temporary = temporary_path(self.prefix.staging)
                copy_file(source, temporary)
                temporary.rename(source)  # it is synced: `copy_file` does that
                os.link(source, path)


def _batches(sources: Iterable[Source], key: str) -> Iterable[list[Source]]:
    batch: list[Source] = []
    size = 0
    for source in sorted(
        (source for source in sources if source.key == key),
        key=lambda source: source.size_bytes,
        reverse=True,
    ):
        batch.append(source)
        size += source.size_bytes + 2_000
        if size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
