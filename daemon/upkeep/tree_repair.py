"""Restore one environment or toolkit, file by file, from the nearest place that has the right bytes.

In order: what shares content on the prefix, the wheel in uv's cache, the index; bytecode is compiled again;
and what uv itself makes is taken from the same environment, made anew in staging. Everything is compared with
the manifest before it is renamed into place. A manifest that is damaged comes from the tree made anew.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from daemon.errors import DamageError, PrefixError
from daemon.host.durability import sync_filesystem, write_new_file
from daemon.host.file_content import file_sha256
from daemon.host.known_contents import KnownContents
from daemon.host.modes import make_new_folder
from daemon.install.fetch import Fetcher
from daemon.install.pipeline import InstallOptions
from daemon.install.plan import Wanted, WheelToFetch
from daemon.install.seal import finish_environment, finish_toolkit
from daemon.install.toolkit import lay_out_toolkit
from daemon.install.workbench import make_workbench
from daemon.interpreters.compile_run import run_compile_worker
from daemon.interpreters.interpreter import Interpreter, provide_interpreters
from daemon.interpreters.running_interpreter import describe
from daemon.prefix.bytecode_list import (
    BytecodeFile,
    bytecode_list_path,
    bytecode_path,
    format_bytecode_list,
    read_bytecode_list,
)
from daemon.prefix.content_source import ContentSource
from daemon.prefix.content_store import ContentStore
from daemon.prefix.finding import Finding
from daemon.prefix.interpreter_folder import program_of
from daemon.prefix.inventory import (
    InventoryFile,
    inventory_path,
    read_inventory,
    take_inventory,
    write_inventory,
)
from daemon.prefix.line_file import has_digest
from daemon.prefix.manifest import (
    MANIFEST_NAME,
    BytecodePart,
    Manifest,
    WheelPart,
    expected_files,
    read_manifest,
)
from daemon.prefix.mending import (
    make_folder,
    mend_tree,
    put_in_place,
    put_link,
    remove_anything,
    remove_extra,
    set_folder,
)
from daemon.prefix.prefix import Prefix
from daemon.prefix.publication import publish_record, replace_tree
from daemon.prefix.staging import discard, staged_tree, temporary_path
from daemon.prefix.toolkit_tree import toolkit_behind
from daemon.prefix.tree_check import Digests, compare_tree, verify_tree
from daemon.prefix.writer_lock import WriterLock
from daemon.report.progress import Reporter, Stage
from daemon.uv.cache import drop_wheel, find_archive
from daemon.uv.program import Uv
from gens.catalog import Catalog
from gens.errors import DefinitionError, MonobaseError
from gens.generation import Generation, Toolkit
from gens.lock import LockedWheel


class TreeRepairer:
    """What all trees of one repair have in common: where wheels and interpreters come from."""

    def __init__(
        self,
        writer: WriterLock,
        catalog: Catalog,
        uv: Uv,
        options: InstallOptions,
        reporter: Reporter,
        store: ContentStore,
        source: ContentSource,
    ) -> None:
        self.writer = writer
        self.prefix: Prefix = writer.prefix
        self.options = options
        self.source = source
        self._catalog = catalog
        self._uv = uv
        self._reporter = reporter
        self._store = store
        self._known = KnownContents(options.jobs)
        self._archives: dict[str, Path | None] = {}
        self._interpreters: dict[str, Interpreter] = {}
        self._fetchers: dict[str, Fetcher] = {}
        self._failed: dict[str, MonobaseError] = {}
        self._locked: dict[str, tuple[LockedWheel, Wanted]] | None = None
        self._unknown: dict[str, MonobaseError] = {}

    # --- what the catalog says ---

    def wanted(self, label: str) -> Wanted | None:
        """Give what a tree is, by its path under the prefix; None when the catalog does not tell."""
        kind, *names = label.split("/")
        if kind == "cuda":
            return self._wanted_toolkit(names[0])
        try:
            generation = self._catalog.generation(int(names[0][1:]))
            target = next((item for item in generation.targets if item.name == names[1]), None)
            if target is None:
                raise DefinitionError(f"the definition of {names[0]} has no {names[1]}")
            return Wanted(generation, target, self._catalog.lock(generation, target))
        except MonobaseError as error:
            self._unknown[label] = error
            return None

    def unknown(self, label: str) -> MonobaseError:
        """Say why the catalog does not tell what a tree is."""
        return self._unknown.get(label) or DefinitionError(f"no definition and lock tell what {label} holds")

    def locked(self, sha256: str) -> tuple[LockedWheel, Wanted] | None:
        """Give the wheel of a digest, as some lock of the catalog names it, and where."""
        if self._locked is None:
            self._locked = {}
            for generation in self._catalog.generations:
                for item in self._readable(generation):
                    self._locked |= {wheel.sha256: (wheel, item) for wheel in item.lock.wheels}
        return self._locked.get(sha256)

    def _readable(self, generation: Generation) -> Iterable[Wanted]:
        for target in generation.targets:
            try:
                yield Wanted(generation, target, self._catalog.lock(generation, target))
            except MonobaseError as error:
                self._unknown[f"monobase/{generation.directory_name}/{target.name}"] = error

    def _wanted_toolkit(self, name: str) -> Wanted | None:
        """Find the toolkit of a tree by the links of the generations that use it, else by its name."""
        named = []
        for generation in self._catalog.generations:
            for item in self._readable(generation):
                if not isinstance(item.target, Toolkit):
                    continue
                link = self.prefix.generation(generation.directory_name) / item.target.name
                if toolkit_behind(link) == name:
                    return item
                if item.target.directory_name == name:
                    named.append(item)
        return named[0] if named else None

    # --- where bytes come from ---

    def archive(self, sha256: str) -> Path | None:
        """Give the unpacked wheel of a digest in uv's cache, if it is there."""
        if sha256 not in self._archives:
            found = self.locked(sha256)
            self._archives[sha256] = find_archive(self.prefix.uv_cache, found[0]) if found else None
        return self._archives[sha256]

    def fetch(self, sha256s: Iterable[str]) -> dict[str, MonobaseError]:
        """Bring wheels from the index, whatever uv's cache has of them.

        Returns:
            Why some could not be had, by digest; one that could not is not asked for twice.
        """
        items: dict[str, list[WheelToFetch]] = {}
        failures: dict[str, MonobaseError] = {}
        for sha256 in sha256s:
            found = self.locked(sha256)
            if found is None:
                failures[sha256] = DefinitionError(f"no lock names the wheel sha256:{sha256}")
                continue
            if sha256 in self._failed:
                failures[sha256] = self._failed[sha256]
                continue
            wheel, wanted = found
            drop_wheel(self.prefix.uv_cache, wheel)
            try:
                read_inventory(self.prefix, sha256)
            except DamageError:
                remove_anything(inventory_path(self.prefix, sha256))
            self._archives.pop(sha256, None)
            inputs = wanted.target.inputs
            items.setdefault(inputs.python, []).append(
                WheelToFetch(wheel, wanted.index_url(wheel), inputs.platform, (inputs.python,))
            )
        for python, wheels in items.items():
            failures |= self._fetch(python, wheels)
        self._failed |= failures
        return failures

    def _fetch(self, python: str, items: Sequence[WheelToFetch]) -> dict[str, MonobaseError]:
        total = sum(item.wheel.size_bytes for item in items)
        with self._reporter.stage("fetch", total, unit="bytes") as stage:
            if python not in self._fetchers:
                self._fetchers[python] = Fetcher(
                    self.prefix,
                    self._uv,
                    self._store,
                    self.interpreter(python),
                    self.options.jobs,
                    self._known,
                )
            failures = self._fetchers[python].fetch(items, stage)
            stage.facts["wheels"] = len(items) - len(failures)
        return failures

    def interpreter(self, python: str) -> Interpreter:
        """Give the interpreter of a full version.

        Raises:
            MonobaseError: There is none.
        """
        if python not in self._interpreters:
            found, missing = provide_interpreters(
                self._uv, [python], downloads=self.options.downloads, warn=self._reporter.warning
            )
            if python in missing:
                raise missing[python]
            self._interpreters[python] = found[python]
        return self._interpreters[python]

    def make_anew(self, wanted: Wanted, name: str) -> Path:
        """Make an environment or toolkit in staging, with its manifest.

        Args:
            wanted: What it is.
            name: Name of its folder.
        """
        lacking = [wheel.sha256 for wheel in wanted.lock.wheels if not self._held(wheel)]
        for error in self.fetch(lacking).values():
            raise error
        discard(staged_tree(self.prefix, wanted.generation, wanted.target))
        bench = make_workbench(
            self.prefix, self._uv, self.options.jobs, links=not self.options.copy, known=self._known
        )
        if isinstance(wanted.target, Toolkit):
            laid_out = lay_out_toolkit(
                self.prefix, wanted, wanted.target, bench.store, bench.inventories, bench.known
            )
            finish_toolkit(self.prefix, wanted, laid_out, name)
            return laid_out.directory
        tree = bench.linker.link_environment(wanted, self.interpreter(wanted.target.inputs.python))
        bench.compiler.compile_missing([tree], Stage("compile"))
        bench.compiler.link_bytecode(tree)
        finish_environment(self.prefix, tree)
        return tree.directory

    def compile(self, interpreter: Interpreter, items: Sequence[tuple[str, str, str]]) -> None:
        """Compile sources (`daemon/interpreters/compile_run.py`)."""
        run_compile_worker(interpreter, items, self._uv.inherit)

    def _held(self, wheel: LockedWheel) -> bool:
        """Tell whether uv's cache holds a wheel as its inventory says."""
        try:
            inventory = read_inventory(self.prefix, wheel.sha256)
        except DamageError:
            return False
        archive = self.archive(wheel.sha256)
        if inventory is None or archive is None:
            return False
        return all(self.source.is_sound(archive / file.path, file) for file in inventory.files)


@dataclass(slots=True)
class Restored:
    """What was done to a tree.

    Attributes:
        restored: Paths that were put back.
        removed: Paths that were extra.
    """

    restored: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)


class TreeRepair:
    """The repair of one tree."""

    def __init__(self, common: TreeRepairer, label: str) -> None:
        self._common = common
        self._prefix = common.prefix
        self._label = label
        self._tree = common.prefix.root / label
        self._done = Restored()
        self._errors: list[MonobaseError] = []

    def run(self, findings: list[Finding]) -> Restored:
        """Restore what is damaged.

        Args:
            findings: All that was found of this tree.

        Returns:
            What was done.

        Raises:
            MonobaseError: Something could not be restored; all else was.
        """
        if any(finding.path == MANIFEST_NAME for finding in findings) or not self._has_manifest():
            self._replace()
            findings = self._look()
        elif any(not finding.path for finding in findings):
            self._restore_bookkeeping(read_manifest(self._tree / MANIFEST_NAME))
            findings = self._look()
        self._restore(findings)
        sync_filesystem(self._prefix.root)
        for error in self._errors:
            raise error
        return self._done

    def _has_manifest(self) -> bool:
        try:
            read_manifest(self._tree / MANIFEST_NAME)
        except DamageError:
            return False
        return True

    def _look(self) -> list[Finding]:
        found: list[Finding] = []
        verify_tree(self._prefix, self._tree, Digests(self._common.options.jobs), found)
        for finding in found:
            if not finding.path:
                raise DamageError(finding.detail)
        return found

    # --- the tree as a whole ---

    def _replace(self) -> None:
        """Make the tree anew, and let the one that stands there be the same, manifest included."""
        wanted = self._common.wanted(self._label)
        if wanted is None:
            raise self._common.unknown(self._label)
        made = self._common.make_anew(wanted, self._tree.name)
        sync_filesystem(self._prefix.root)
        self._common.writer.check()
        if self._tree.is_symlink() or not self._tree.is_dir():
            replace_tree(self._common.writer, made, self._tree)
            self._done.restored.append("all of it")
            return
        manifest = read_manifest(made / MANIFEST_NAME)
        found: list[Finding] = []
        digests = Digests(self._common.options.jobs)
        compare_tree(
            self._prefix, self._tree, manifest, expected_files(self._prefix, manifest), digests, found
        )
        mend_tree(self._tree, made, found)
        put_in_place(made / MANIFEST_NAME, self._tree, MANIFEST_NAME)
        self._done.restored += [MANIFEST_NAME, *(item.path for item in found if item.kind != "extra")]
        self._done.removed += [item.path for item in found if item.kind == "extra"]
        discard(made)

    # --- what the manifest is read with ---

    def _restore_bookkeeping(self, manifest: Manifest) -> None:
        for part in manifest.wheels:
            path = inventory_path(self._prefix, part.wheel_sha256)
            if not _has_digest(path, part.inventory_sha256):
                self._restore_inventory(part, path)
                self._done.restored.append(f"(inventory {path.name})")
        lists = [
            (part, bytecode_list_path(self._prefix, part.wheel_sha256, part.key))
            for part in manifest.bytecode
        ]
        wrong = [(part, path) for part, path in lists if not _has_digest(path, part.list_sha256)]
        if wrong:
            self._restore_sources(manifest)
        for compiled, path in wrong:
            self._restore_list(compiled, path)
            self._done.restored.append(f"(list of bytecode {path.name})")

    def _restore_sources(self, manifest: Manifest) -> None:
        """Restore what bytecode is made from, and with: a list of it is proven by making it again."""
        plain = replace(manifest, bytecode=())
        found: list[Finding] = []
        digests = Digests(self._common.options.jobs)
        compare_tree(self._prefix, self._tree, plain, expected_files(self._prefix, plain), digests, found)
        self._restore([finding for finding in found if finding.kind != "extra"], plain)

    def _restore_inventory(self, part: WheelPart, path: Path) -> None:
        locked = self._common.locked(part.wheel_sha256)
        archive = self._common.archive(part.wheel_sha256)
        if locked is not None and archive is not None:
            staged = temporary_path(self._prefix.staging)
            try:
                write_inventory(take_inventory(archive, locked[0]), staged)
            except MonobaseError:
                pass  # not the wheel that it was; the index has it
            else:
                if has_digest(staged, part.inventory_sha256):
                    publish_record(self._common.writer, staged, path)
                    return
        remove_anything(path)
        for error in self._common.fetch([part.wheel_sha256]).values():
            raise error
        if not _has_digest(path, part.inventory_sha256):
            raise DamageError(f"{path}: made anew, it is another one than that of {self._label}")

    def _restore_list(self, part: BytecodePart, path: Path) -> None:
        for compiled in (self._compiled_here(part), self._compiled_anew(part)):
            staged = temporary_path(self._prefix.staging)
            write_new_file(staged, format_bytecode_list(list(compiled)))
            if has_digest(staged, part.list_sha256):
                publish_record(self._common.writer, staged, path)
                return
        raise DamageError(f"{path}: made anew, it is another one than that of {self._label}")

    def _compiled_here(self, part: BytecodePart) -> Iterable[BytecodeFile]:
        for path, file in self._bytecode_names(part):
            compiled = self._tree / part.directory / path
            if compiled.is_file() and not compiled.is_symlink():
                yield BytecodeFile(path, file.sha256, file_sha256(compiled), compiled.stat().st_size)

    def _compiled_anew(self, part: BytecodePart) -> Iterable[BytecodeFile]:
        staging = temporary_path(self._prefix.staging)
        make_new_folder(staging)
        names = list(self._bytecode_names(part))
        items = [
            (f"{self._tree}/{part.directory}/{file.path}", f"{staging}/{file.sha256}", f"{file.sha256}.py")
            for _, file in names
        ]
        self._common.compile(self._own_interpreter(part.key), list(dict.fromkeys(items)))
        for path, file in names:
            compiled = staging / file.sha256
            if compiled.exists():
                yield BytecodeFile(path, file.sha256, file_sha256(compiled), compiled.stat().st_size)

    def _bytecode_names(self, part: BytecodePart) -> Iterable[tuple[str, InventoryFile]]:
        inventory = read_inventory(self._prefix, part.wheel_sha256)
        tag = part.key.rpartition("-")[0]
        brought = (
            {file.path for file in inventory.files if file.path.endswith(".pyc")} if inventory else set()
        )
        for file in inventory.installed_as_is() if inventory else ():
            directory, _, name = file.path.rpartition("/")
            path = f"{directory}/__pycache__/{name[:-3]}.{tag}.pyc".lstrip("/")
            if file.path.endswith(".py") and path not in brought:
                yield path, file

    def _own_interpreter(self, key: str) -> Interpreter:
        program = program_of(self._tree)
        interpreter = describe(program, managed=program.is_relative_to(self._prefix.uv_python))
        if interpreter.bytecode_key != key:
            raise DamageError(f"{program}: is {interpreter.bytecode_key}, and the bytecode is of {key}")
        return interpreter

    # --- single files ---

    def _restore(self, findings: list[Finding], manifest: Manifest | None = None) -> None:
        if not findings:
            return
        manifest = manifest or read_manifest(self._tree / MANIFEST_NAME)
        expected = expected_files(self._prefix, manifest)
        links = {link.path: link.target for link in manifest.links}
        self._common.writer.check()
        for finding in findings:
            if finding.kind == "extra":
                remove_extra(self._tree, finding.path)
                self._done.removed.append(finding.path)
        paths = list(dict.fromkeys(item.path for item in findings if item.kind in {"changed", "missing"}))
        for path in paths:
            if path in links:
                self._restore_link(path, links[path])
            elif path not in expected:  # a folder, or what stands in its place
                relative = "" if path == "." else path
                make_folder(self._tree, relative)
                set_folder(self._tree / relative)
                self._done.restored.append(path)
        files = [expected[path] for path in paths if path in expected]
        if files:
            self._restore_files(
                files, _Origins(self._common, self._label, manifest, {file.path for file in files})
            )

    def _restore_link(self, path: str, target: str) -> None:
        if put_link(self._prefix.staging, self._tree, path, target):
            self._done.restored.append(path)

    def _restore_files(self, files: list[InventoryFile], origins: "_Origins") -> None:
        left = self._put(files, origins)
        wheels = list(dict.fromkeys(wheel for file in left if (wheel := origins.wheel(file)) is not None))
        if wheels:
            self._errors += dict.fromkeys(self._common.fetch(wheels).values())
            left = self._put(left, origins)
        left = self._put_compiled(left, origins)
        # What is a wheel's own, or bytecode, can come from nowhere else.
        by_uv = [file for file in left if origins.is_made_by_uv(file)]
        if by_uv:
            left = [file for file in left if file not in by_uv] + self._put_made_anew(by_uv)
        if left and not self._errors:
            self._errors.append(
                DamageError(f"nothing has the right content for {len(left):,} files, such as {left[0].path}")
            )

    def _put(
        self, files: list[InventoryFile], origins: "_Origins", lenders: dict[str, Path] | None = None
    ) -> list[InventoryFile]:
        """Put in place what can be had now, and give the rest."""
        left, staged = [], []
        for file in files:
            lent = [*origins.lenders(file), *([lenders[file.path]] if lenders else [])]
            found = self._common.source.take(file, origins.places(file), [*lent, self._tree / file.path])
            if found is None:
                left.append(file)
            else:
                staged.append((found, file.path))
        if staged:
            sync_filesystem(self._prefix.root)
            self._common.writer.check()
        for found, path in staged:
            put_in_place(found, self._tree, path)
            self._done.restored.append(path)
        return left

    def _put_compiled(self, files: list[InventoryFile], origins: "_Origins") -> list[InventoryFile]:
        by_key: dict[str, list[InventoryFile]] = {}
        for file in files:
            if file.path in origins.bytecode:
                by_key.setdefault(origins.bytecode[file.path][0], []).append(file)
        left = [file for file in files if file.path not in origins.bytecode]
        for key, of_key in by_key.items():
            staging = temporary_path(self._prefix.staging)
            make_new_folder(staging)
            made = {file.path: staging / origins.bytecode[file.path][1].source_sha256 for file in of_key}
            items = [
                (str(self._tree / _source_of(path)), str(target), f"{target.name}.py")
                for path, target in made.items()
            ]
            try:
                self._common.compile(self._own_interpreter(key), items)
            except (OSError, MonobaseError) as error:
                if isinstance(error, PrefixError):
                    raise
                self._errors.append(error if isinstance(error, MonobaseError) else DamageError(str(error)))
            left += self._put(of_key, origins, made)
        return left

    def _put_made_anew(self, files: list[InventoryFile]) -> list[InventoryFile]:
        wanted = self._common.wanted(self._label)
        if wanted is None:
            self._errors.append(self._common.unknown(self._label))
            return files
        made = self._common.make_anew(wanted, self._tree.name)
        nothing = _Origins(self._common, self._label, Manifest("", ""), set())
        left = self._put(files, nothing, {file.path: made / file.path for file in files})
        discard(made)
        return left


class _Origins:
    """Where on the prefix the content of files of a tree is, beside the tree."""

    def __init__(self, common: TreeRepairer, label: str, manifest: Manifest, paths: set[str]) -> None:
        self.bytecode: dict[str, tuple[str, BytecodeFile]] = {}
        self._common = common
        self._wheels: dict[str, tuple[str, InventoryFile]] = {}
        self._contents: dict[str, tuple[str, InventoryFile]] = {}
        for part in manifest.bytecode:
            for entry in read_bytecode_list(common.prefix, part.wheel_sha256, part.key) or ():
                if (path := f"{part.directory}/{entry.path}") in paths:
                    self.bytecode[path] = (part.key, entry)
        for wheel in manifest.wheels:
            inventory = read_inventory(common.prefix, wheel.wheel_sha256)
            for file in inventory.installed_as_is() if inventory is not None else ():
                if (path := f"{wheel.directory}/{file.path}") in paths:
                    self._wheels[path] = (wheel.wheel_sha256, file)
        others = {file.sha256: file.path for file in manifest.files if file.path in paths}
        if others:
            self._find_contents(label, manifest, others)

    def _find_contents(self, label: str, manifest: Manifest, paths: dict[str, str]) -> None:
        """Find files that stand elsewhere than in their wheel: data of environments, all of toolkits."""
        sha256s = [part.wheel_sha256 for part in manifest.wheels]
        if not sha256s:
            wanted = self._common.wanted(label)
            sha256s = [wheel.sha256 for wheel in wanted.lock.wheels] if wanted is not None else []
        for sha256 in sha256s:
            try:
                inventory = read_inventory(self._common.prefix, sha256)
            except DamageError:
                continue
            for file in inventory.files if inventory is not None else ():
                if file.sha256 in paths:
                    self._contents.setdefault(file.sha256, (sha256, file))

    def wheel(self, file: InventoryFile) -> str | None:
        """Give the digest of the wheel that brings a file, if one does."""
        found = self._wheels.get(file.path) or self._contents.get(file.sha256)
        return None if found is None or file.path in self.bytecode else found[0]

    def is_made_by_uv(self, file: InventoryFile) -> bool:
        """Tell whether neither a wheel nor a compiler brings a file."""
        return file.path not in self.bytecode and self.wheel(file) is None

    def places(self, file: InventoryFile) -> list[Path]:
        """Give where the same inode should be: what is wrong there is as wrong as the file itself."""
        if file.path in self.bytecode:
            key, entry = self.bytecode[file.path]
            return [bytecode_path(self._common.prefix, key, entry.source_sha256, entry.sha256)]
        return [path for path, mode in self._in_archive(file) if mode == file.mode]

    def lenders(self, file: InventoryFile) -> list[Path]:
        """Give where the content is with another mode."""
        return [path for path, mode in self._in_archive(file) if mode != file.mode]

    def _in_archive(self, file: InventoryFile) -> list[tuple[Path, int]]:
        found = self._wheels.get(file.path) or self._contents.get(file.sha256)
        archive = self._common.archive(found[0]) if found is not None else None
        return [(archive / found[1].path, found[1].mode)] if found is not None and archive is not None else []


def _source_of(bytecode: str) -> str:
    directory, _, name = bytecode.rpartition("/")
    return f"{directory.removesuffix('__pycache__')}{name.partition('.')[0]}.py"


def _has_digest(path: Path, sha256: str) -> bool:
    try:
        return has_digest(path, sha256)
    except OSError:
        return False
