"""Stage 4, compile: bytecode for the read-only mount, once for each source and interpreter.

The digests of the sources are known, so finding what is missing reads nothing. `unchecked-hash` bytecode
holds neither the time nor the path of its source, so all environments share it, and Python does not even
look at the source when it loads it.
"""

import errno
import os
import shutil
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from daemon.bytecode_list import (
    BytecodeFile,
    bytecode_list_path,
    bytecode_path,
    format_bytecode_list,
    read_bytecode_list,
)
from daemon.child_process import run_to_its_end, signal_name
from daemon.content_store import copy_file, file_sha256, same_content
from daemon.durability import sync_directory, sync_filesystem
from daemon.errors import DiskError, ProgramKilledError
from daemon.fault import fault_point
from daemon.interpreter import Interpreter
from daemon.inventory import temporary_path
from daemon.link import InventoryCache, LinkedTree
from daemon.prefix import Prefix
from daemon.progress import Stage
from daemon.system_error import full_disk_message
from daemon.uv import last_lines
from gens.errors import MonobaseError
from gens.lock import LockedWheel

WORKER = Path(__file__).with_name("compile_worker.py")
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
        jobs: How many worker processes there may be.
        links: Whether bytecode is linked into environments; where it cannot be, it is copied.
        inherit: Descriptors that workers keep: the writer's lock.
    """

    prefix: Prefix
    inventories: InventoryCache
    jobs: int
    links: bool = True
    inherit: tuple[int, ...] = ()
    _renewal: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def compile_missing(self, trees: Sequence[LinkedTree], stage: Stage) -> int:
        """Compile every source of some environments that has no bytecode yet.

        Args:
            trees: The environments, in the staging folder.
            stage: Advanced by each source.

        Returns:
            How many sources were given to an interpreter.

        Raises:
            MonobaseError: A worker failed.
        """
        todo: dict[tuple[str, str], tuple[LockedWheel, LinkedTree]] = {}
        for tree in trees:
            for wheel in tree.wanted.lock.wheels:
                key = (wheel.sha256, tree.interpreter.bytecode_key)
                if key not in todo and not bytecode_list_path(self.prefix, *key).exists():
                    todo[key] = (wheel, tree)
        if not todo:
            return 0
        count = self._compile(todo.values(), stage)
        staged = []
        with ThreadPoolExecutor(self.jobs) as pool:
            for (wheel, tree), content in zip(
                todo.values(), pool.map(lambda item: self._list(*item), todo.values()), strict=True
            ):
                path = temporary_path(self.prefix.staging)
                path.write_bytes(content)
                staged.append(
                    (path, bytecode_list_path(self.prefix, wheel.sha256, tree.interpreter.bytecode_key))
                )
        sync_filesystem(self.prefix.root)
        for path, final in staged:
            path.rename(final)
        sync_directory(self.prefix.wheels)
        fault_point("compile:kept")
        return count

    def link_bytecode(self, tree: LinkedTree) -> None:
        """Put the bytecode of an environment beside its sources.

        Args:
            tree: The environment; its sources were compiled.
        """
        base = f"{tree.directory}/{tree.packages_directory}"
        key = tree.interpreter.bytecode_key
        made = set()
        for wheel in tree.wanted.lock.wheels:
            for file in read_bytecode_list(self.prefix, wheel.sha256, key) or ():
                path = f"{base}/{file.path}"
                directory = path.rpartition("/")[0]
                if directory not in made:
                    os.makedirs(directory, exist_ok=True)  # noqa: PTH103 (paths are strings, there are many)
                    made.add(directory)
                self._link(bytecode_path(self.prefix, key, file.source_sha256), path)

    def _compile(self, todo: Iterable[tuple[LockedWheel, LinkedTree]], stage: Stage) -> int:
        missing: dict[tuple[str, str], Source] = {}
        interpreters: dict[str, Interpreter] = {}
        for wheel, tree in todo:
            key = tree.interpreter.bytecode_key
            interpreters[key] = tree.interpreter
            base = f"{tree.directory}/{tree.packages_directory}"
            for file in self.inventories.get(wheel).installed_as_is():
                if not file.path.endswith(".py") or (key, file.sha256) in missing:
                    continue
                if not bytecode_path(self.prefix, key, file.sha256).exists():
                    missing[key, file.sha256] = Source(
                        f"{base}/{file.path}", file.sha256, file.size_bytes, key
                    )
        staging = temporary_path(self.prefix.staging)
        staging.mkdir()
        batches = [
            (interpreters[key], batch) for key in interpreters for batch in _batches(missing.values(), key)
        ]
        stage.total = len(missing)
        with ThreadPoolExecutor(self.jobs) as pool:
            for count in pool.map(lambda item: self._run_worker(item[0], item[1], staging), batches):
                stage.advance(count)
        fault_point("compile:compiled")
        sync_filesystem(self.prefix.root)
        for key in interpreters:
            for number in range(256):
                (self.prefix.bytecode / key / f"{number:02x}").mkdir(parents=True, exist_ok=True)
        for entry in os.scandir(staging):
            key, _, sha256 = entry.name.rpartition(".")
            _publish(entry.path, bytecode_path(self.prefix, key, sha256), links=self.links)
        shutil.rmtree(staging)
        return len(missing)

    def _run_worker(self, interpreter: Interpreter, sources: Sequence[Source], staging: Path) -> int:
        lines = "".join(
            f"{source.path}\t{staging}/{source.key}.{source.sha256}\t{source.sha256}.py\n"
            for source in sources
        )
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        environment["PYTHONHASHSEED"] = "0"  # the order of a constant set is in the bytecode
        worker = run_to_its_end(
            [str(interpreter.executable), "-s", "-S", "-B", str(WORKER)],
            environment=environment,
            directory=self.prefix.root,
            descriptors=self.inherit,
            given=lines.encode("utf-8", "surrogateescape"),
        )
        if worker.code < 0:
            raise ProgramKilledError(
                f"{interpreter.executable}: compiling was ended by {signal_name(worker.code)}; when nobody "
                "did that, the machine or the container had too little memory"
            )
        if worker.code != 0:
            said = worker.stderr
            if "No space left" in said or "quota" in said:
                raise DiskError(f"{full_disk_message(self.prefix.root)}; while compiling")
            raise MonobaseError(
                f"{interpreter.executable}: compiling ended with {worker.code}: {last_lines(said)}"
            )
        return len(sources)

    def _list(self, wheel: LockedWheel, tree: LinkedTree) -> bytes:
        key = tree.interpreter.bytecode_key
        files = []
        inventory = self.inventories.get(wheel)
        brought = {file.path for file in inventory.files if file.path.endswith(".pyc")}
        for file in inventory.installed_as_is():
            if not file.path.endswith(".py"):
                continue
            compiled = bytecode_path(self.prefix, key, file.sha256)
            try:
                size = compiled.stat().st_size
            except FileNotFoundError:
                continue  # it does not compile
            directory, _, name = file.path.rpartition("/")
            path = f"{directory}/__pycache__/{name[:-3]}.{tree.interpreter.cache_tag}.pyc".lstrip("/")
            if path in brought:
                continue  # bytecode of the wheel's own, which is part of what its lock pins
            files.append(BytecodeFile(path, file.sha256, file_sha256(compiled), size))
        return format_bytecode_list(files)

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
                temporary.rename(source)
                os.link(source, path)


def _publish(compiled: str, final: Path, *, links: bool) -> None:
    # A link, not a rename: of renames from one folder to another a file system does one at a time.
    if links:
        os.link(compiled, final)
    else:
        os.rename(compiled, final)  # noqa: PTH104 (there are many)


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
