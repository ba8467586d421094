"""Provides what the trees of one repair are restored from: wheels, interpreters, bytecode, rebuilt trees."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from daemon.errors import DamageError
from daemon.host.known_contents import KnownContents
from daemon.install.fetch import Fetcher
from daemon.install.options import InstallOptions
from daemon.install.seal import finish_environment, finish_toolkit
from daemon.install.toolkit import lay_out_toolkit
from daemon.install.wanted import WheelToFetch
from daemon.install.workbench import make_workbench
from daemon.interpreters.compile_run import run_compile_worker
from daemon.interpreters.interpreter import InterpreterSearch
from daemon.interpreters.running_interpreter import Interpreter, describe
from daemon.prefix.content_source import ContentSource
from daemon.prefix.content_store import ContentStore
from daemon.prefix.interpreter_folder import program_of
from daemon.prefix.inventory import inventory_path, read_inventory
from daemon.prefix.mending import remove_anything
from daemon.prefix.prefix import Prefix
from daemon.prefix.staging import discard, staged_tree
from daemon.prefix.tree_check import Digests, trusted_owners
from daemon.prefix.tree_label import parse_label
from daemon.prefix.writer_lock import WriterLock
from daemon.report.progress import Reporter, Stage
from daemon.upkeep.lock_lookup import LockLookup
from daemon.uv.cache import drop_wheel, find_archive
from daemon.uv.program import Uv
from gens.catalog import Catalog
from gens.errors import DefinitionError, MonobaseError
from gens.generation import Toolkit
from gens.lock import LockedWheel


class RepairSource:
    """Finds or makes what damaged trees are restored from; what was found once is not looked for again.

    Attributes:
        writer: The right to write to the prefix.
        prefix: The prefix.
        locks: The definitions and locks.
        contents: The contents on the prefix.
        interpreters: The interpreters on the prefix and on the machine.
    """

    def __init__(
        self, writer: WriterLock, catalog: Catalog, uv: Uv, options: InstallOptions, reporter: Reporter
    ) -> None:
        self.writer = writer
        self.prefix: Prefix = writer.prefix
        self.locks = LockLookup(self.prefix, catalog)
        self._store = ContentStore(self.prefix.files, self.prefix.staging, enabled=not options.copy)
        self.contents = ContentSource(self.prefix.staging, self._store, trusted_owners(self.prefix))
        self.interpreters = InterpreterSearch(uv, reporter.warning, downloads=options.downloads)
        self._uv = uv
        self._options = options
        self._reporter = reporter
        self._known = KnownContents(options.jobs)
        self._archives: dict[str, Path | None] = {}
        self._interpreters: dict[str, Interpreter] = {}
        self._fetchers: dict[str, Fetcher] = {}
        self._failures: dict[str, MonobaseError] = {}

    def digests(self) -> Digests:
        """Return a reader of files, which has read none yet."""
        return Digests(self._options.jobs)

    def archive(self, sha256: str) -> Path | None:
        """Return the folder of a wheel in uv's cache; None when it is not there."""
        if sha256 not in self._archives:
            found = self.locks.wheel(sha256)
            self._archives[sha256] = find_archive(self.prefix.uv_cache, found[0]) if found else None
        return self._archives[sha256]

    def fetch(self, sha256s: Iterable[str]) -> dict[str, MonobaseError]:
        """Download wheels, even those that uv's cache has.

        Returns:
            The failures by digest; a wheel that failed once is not requested again.
        """
        items: dict[str, list[WheelToFetch]] = {}
        failures: dict[str, MonobaseError] = {}
        for sha256 in sha256s:
            found = self.locks.wheel(sha256)
            if found is None:
                failures[sha256] = DefinitionError(f"no lock names the wheel sha256:{sha256}")
            elif sha256 in self._failures:
                failures[sha256] = self._failures[sha256]
            else:
                self._forget(found[0])
                wheel, wanted = found
                inputs = wanted.target.inputs
                item = WheelToFetch(wheel, wanted.index_url(wheel), inputs.platform, (inputs.python,))
                items.setdefault(inputs.python, []).append(item)
        for python, wheels in items.items():
            failures |= self._fetch(python, wheels)
        self._failures |= failures
        return failures

    def interpreter(self, python: str) -> Interpreter:
        """Return the interpreter of a full version.

        Raises:
            MonobaseError: There is none.
        """
        if python not in self._interpreters:
            self._interpreters[python] = self.interpreters.provide(python)
        return self._interpreters[python]

    def rebuild(self, label: str) -> Path:
        """Make an environment or toolkit in the staging folder, with its manifest, and return its folder.

        Args:
            label: Path of the tree below the prefix.

        Raises:
            MonobaseError: No lock names it, or something that it needs cannot be fetched.
        """
        wanted = self.locks.wanted(label)
        lacking = [wheel.sha256 for wheel in wanted.lock.wheels if not self._is_cached(wheel)]
        for error in self.fetch(lacking).values():
            raise error
        discard(staged_tree(self.prefix, wanted.generation, wanted.target))
        bench = make_workbench(
            self.prefix, self._uv, self._options.jobs, links=not self._options.copy, known=self._known
        )
        if isinstance(wanted.target, Toolkit):
            laid_out = lay_out_toolkit(bench, wanted, wanted.target)
            finish_toolkit(self.prefix, wanted, laid_out, parse_label(label).name)
            return laid_out.directory
        tree = bench.linker.link_environment(wanted, self.interpreter(wanted.target.inputs.python))
        bench.compiler.compile_missing([tree], Stage("compile"))
        bench.compiler.link_bytecode(tree)
        finish_environment(self.prefix, tree)
        return tree.directory

    def compile(self, tree: Path, key: str, items: Iterable[tuple[str, str, str]]) -> None:
        """Compile sources of an environment with its own interpreter (`daemon/interpreters/compile_run.py`).

        Args:
            tree: The environment.
            key: Key of the bytecode that the interpreter must make.
            items: Source, target and label of each.

        Raises:
            MonobaseError: The interpreter makes other bytecode, does not run, or is not linked.
            OSError: The disk is full.
        """
        try:
            program = program_of(tree)
        except OSError as error:
            raise DamageError(f"{error.filename}: {error.strerror}; nothing can be compiled") from error
        interpreter = describe(program, managed=program.is_relative_to(self.prefix.uv_python))
        if interpreter.bytecode_key != key:
            raise DamageError(f"{program}: is {interpreter.bytecode_key}, and the bytecode is of {key}")
        run_compile_worker(interpreter, list(dict.fromkeys(items)), self._uv.inherit)

    def _forget(self, wheel: LockedWheel) -> None:
        drop_wheel(self.prefix.uv_cache, wheel)
        try:
            read_inventory(self.prefix, wheel.sha256)
        except DamageError:
            remove_anything(inventory_path(self.prefix, wheel.sha256))
        self._archives.pop(wheel.sha256, None)

    def _fetch(self, python: str, items: Sequence[WheelToFetch]) -> dict[str, MonobaseError]:
        total = sum(item.wheel.size_bytes for item in items)
        with self._reporter.stage("fetch", total, unit="bytes") as stage:
            if python not in self._fetchers:
                self._fetchers[python] = Fetcher(
                    self.prefix, self._uv, self._store, self.interpreter(python), self._options.jobs,
                    self._known, sources=self._options.sources,
                )  # fmt: skip
            failures = self._fetchers[python].fetch(items, stage)
            stage.facts["wheels"] = len(items) - len(failures)
        return failures

    def _is_cached(self, wheel: LockedWheel) -> bool:
        """Return whether uv's cache has a wheel, each file as the inventory says."""
        try:
            inventory = read_inventory(self.prefix, wheel.sha256)
        except DamageError:
            return False
        archive = self.archive(wheel.sha256)
        if inventory is None or archive is None:
            return False
        return all(self.contents.is_sound(archive / file.path, file) for file in inventory.files)
