"""Put back what `verify` found damaged, from the cache or the index, each file on a fresh inode.

Writing into a damaged file would spread the damage to every link of it, so nothing is written in place:
what was found damaged is dropped wherever it would be shared from (uv's cache, the store of contents, the
shared bytecode), the environment is made anew in the staging folder, and the files that differ are
renamed over the damaged ones.
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from daemon.bytecode_list import bytecode_list_path, bytecode_path, read_bytecode_list
from daemon.compile import Compiler
from daemon.content_store import ContentStore, check_links, file_sha256
from daemon.durability import sync_filesystem
from daemon.errors import DamageError
from daemon.fetch import Fetcher
from daemon.install import InstallOptions, clean_leftovers, disk_errors
from daemon.interpreter import Interpreter, provide_interpreters
from daemon.inventory import inventory_path, read_inventory
from daemon.layout import lay_out_toolkit, write_environments
from daemon.link import InventoryCache, Linker
from daemon.manifest import MANIFEST_NAME, read_manifest
from daemon.plan import Wanted, WheelToFetch, is_sealed
from daemon.prefix import Prefix
from daemon.progress import Reporter, Stage
from daemon.seal import finish_environment, finish_toolkit
from daemon.uv import Uv
from daemon.uv_cache import drop_wheel, find_archive
from daemon.verify import Finding, VerifyResult, tree_label, verify
from daemon.writer_lock import WriterLock, writer_lock
from gens.catalog import Catalog
from gens.generation import Toolkit


def repair(
    prefix: Prefix,
    catalog: Catalog,
    uv_program: Path,
    generation_names: list[str],
    options: InstallOptions,
    reporter: Reporter,
) -> VerifyResult:
    """Check some generations, and restore what is damaged.

    Args:
        prefix: The prefix.
        catalog: The generations and their locks.
        uv_program: The uv binary.
        generation_names: Names of generations, such as `g00003`.
        options: What an operator decides.
        reporter: Where it is told.

    Returns:
        What is wrong still.

    Raises:
        MonobaseError: A wheel cannot be had, the disk is full, the prefix is in use.
    """
    os.umask(0o022)
    with (
        disk_errors(prefix),
        writer_lock(prefix, options.lock_timeout_s, reporter.info) as writer,
    ):
        clean_leftovers(prefix, reporter)
        result = verify(prefix, generation_names, options.jobs)
        if not result.findings:
            return result
        for finding in result.findings:
            reporter.warning(str(finding))
        prefix.staging.mkdir()
        try:
            if not options.copy:
                check_links(prefix.uv_cache, prefix.staging)
            link_mode = "copy" if options.copy else "hardlink"
            uv = Uv(uv_program, prefix, options.index_url, link_mode, writer.descriptors, options.proxy_url)
            _Repair(writer, catalog, uv, options, reporter).run(result.findings, generation_names)
        finally:
            shutil.rmtree(prefix.staging, ignore_errors=True)
        return verify(prefix, generation_names, options.jobs)


class _Repair:
    """The steps of one repair."""

    def __init__(
        self, writer: WriterLock, catalog: Catalog, uv: Uv, options: InstallOptions, reporter: Reporter
    ) -> None:
        self._writer = writer
        self._prefix = prefix = writer.prefix
        self._catalog = catalog
        self._uv = uv
        self._options = options
        self._reporter = reporter
        self._store = ContentStore(prefix.files, prefix.staging, enabled=not options.copy)

    def run(self, findings: list[Finding], generation_names: list[str]) -> None:
        trees = self._trees(generation_names)
        by_tree: dict[str, list[Finding]] = {}
        for finding in findings:
            tree, of_tree = self._of_tree(finding)
            by_tree.setdefault(tree, []).append(of_tree)
        for tree in [tree for tree in by_tree if tree not in trees]:
            self._repair_generation(Path(tree).name, by_tree.pop(tree))
        for tree, wrong in by_tree.items():
            self._writer.check()
            self._drop_damaged(trees[tree], tree, wrong)
        self._fetch([trees[tree] for tree in by_tree])
        for tree, wrong in by_tree.items():
            self._restore(trees[tree], self._prefix.root / tree, wrong)

    def _trees(self, generation_names: Iterable[str]) -> dict[str, Wanted]:
        trees = {}
        for name in generation_names:
            generation = self._catalog.generation(int(name[1:]))
            for target in generation.targets:
                path = self._prefix.generation(name) / target.name
                if path.exists():
                    label = tree_label(self._prefix, path.resolve() if path.is_symlink() else path)
                    trees[label] = Wanted(generation, target, self._catalog.lock(generation, target))
        return trees

    def _of_tree(self, finding: Finding) -> tuple[str, Finding]:
        # A damaged manifest is found at the generation, whose mark holds its digest.
        target, separator, name = finding.path.partition("/")
        if separator and name == MANIFEST_NAME and finding.tree.startswith("monobase/g"):
            path = self._prefix.root / finding.tree / target
            if finding.tree.count("/") == 1 and path.is_dir():
                label = tree_label(self._prefix, path.resolve())
                return label, Finding(label, MANIFEST_NAME, finding.kind, finding.detail)
        return finding.tree, finding

    def _repair_generation(self, name: str, findings: list[Finding]) -> None:
        generation = self._catalog.generation(int(name[1:]))
        for finding in findings:
            self._writer.check()
            if finding.path == "environments":
                self._prefix.environments_file(name).unlink(missing_ok=True)
                write_environments(self._prefix, generation, sealed=is_sealed(self._prefix, generation))
            elif finding.path == ".done" or finding.kind == "missing":
                # Not sealed any more: the next install brings what is missing, and seals it again.
                self._prefix.sealed_mark(name).unlink(missing_ok=True)
                self._reporter.warning(f"{finding}: run install again, which completes and seals {name}")

    def _drop_damaged(self, wanted: Wanted, tree: str, findings: list[Finding]) -> None:
        """Drop every copy that the damage could come back from."""
        damaged = {finding.path for finding in findings if finding.kind in {"changed", "missing"}}
        unreadable = any(finding.kind == "unreadable" for finding in findings)
        contents = set()
        keys = self._bytecode_keys(self._prefix.root / tree)
        for wheel in wanted.lock.wheels:
            inventory = None
            try:
                inventory = read_inventory(self._prefix, wheel.sha256)
            except DamageError:
                inventory_path(self._prefix, wheel.sha256).unlink()
            archive = find_archive(self._prefix.uv_cache, wheel)
            if inventory is None or archive is None or unreadable:
                sound = False
            else:
                sound = all(
                    _is_sound(archive / file.path, file.sha256)
                    for file in inventory.files
                    if any(path.endswith(file.path.rpartition("/")[2]) for path in damaged)
                )
            if not sound:
                drop_wheel(self._prefix.uv_cache, wheel)
                inventory_path(self._prefix, wheel.sha256).unlink(missing_ok=True)
            contents |= {(file.sha256, file.executable) for file in inventory.files} if inventory else set()
            for key in keys:
                self._drop_bytecode(wheel.sha256, key)
        for sha256, executable in contents:
            entry = self._store.path(sha256, executable)
            if entry.exists() and not _is_sound(entry, sha256):
                entry.unlink()
        try:
            manifest = read_manifest(self._prefix.root / tree / MANIFEST_NAME)
        except DamageError:
            return
        for file in manifest.files:
            entry = self._store.path(file.sha256, file.executable)
            if file.path in damaged and entry.exists() and not _is_sound(entry, file.sha256):
                entry.unlink()

    def _bytecode_keys(self, tree: Path) -> set[str]:
        try:
            return {part.key for part in read_manifest(tree / MANIFEST_NAME).bytecode}
        except DamageError:
            return set()

    def _drop_bytecode(self, wheel_sha256: str, key: str) -> None:
        try:
            files = read_bytecode_list(self._prefix, wheel_sha256, key) or []
        except DamageError:
            files = []
        sound = True
        for file in files:
            shared = bytecode_path(self._prefix, key, file.source_sha256)
            if not shared.exists():
                sound = False
            elif not _is_sound(shared, file.sha256):
                shared.unlink()
                sound = False
        if not sound or not files:
            bytecode_list_path(self._prefix, wheel_sha256, key).unlink(missing_ok=True)

    def _fetch(self, wanted: Iterable[Wanted]) -> None:
        missing: dict[str, WheelToFetch] = {}
        for item in wanted:
            for wheel in item.lock.wheels:
                if not inventory_path(self._prefix, wheel.sha256).exists():
                    inputs = item.target.inputs
                    missing[wheel.sha256] = WheelToFetch(
                        wheel, item.index_url(wheel), inputs.platform, (inputs.python,)
                    )
        if not missing:
            return
        versions = {python for item in missing.values() for python in item.pythons}
        interpreters = self._interpreters(versions)
        with self._reporter.stage(
            "fetch", sum(item.wheel.size_bytes for item in missing.values()), unit="bytes"
        ) as stage:
            fetcher = Fetcher(
                self._prefix, self._uv, self._store, next(iter(interpreters.values())), self._options.jobs
            )
            failures = fetcher.fetch(list(missing.values()), stage)
            stage.facts["wheels"] = len(missing) - len(failures)
        for error in failures.values():
            raise error

    def _restore(self, wanted: Wanted, tree: Path, findings: list[Finding]) -> None:
        made = self._make_anew(wanted, tree.name)
        sync_filesystem(self._prefix.root)
        unreadable = any(finding.kind == "unreadable" for finding in findings)
        paths = {finding.path for finding in findings if finding.kind in {"changed", "missing"}}
        if unreadable:
            paths |= _differences(made, tree)
        for path in sorted(paths):
            source = made / path
            if not os.path.lexists(source):
                continue
            final = tree / path
            self._writer.check()
            final.parent.mkdir(parents=True, exist_ok=True)
            if final.is_dir() and not final.is_symlink():
                shutil.rmtree(final)
            source.rename(final)
            self._reporter.info(f"restored {tree_label(self._prefix, tree)}/{path}")
        for finding in findings:
            if finding.kind == "extra":
                self._writer.check()
                _remove(tree / finding.path, tree)
                self._reporter.info(f"removed {tree_label(self._prefix, tree)}/{finding.path}")
        sync_filesystem(self._prefix.root)
        shutil.rmtree(made)

    def _make_anew(self, wanted: Wanted, directory_name: str) -> Path:
        inventories = InventoryCache(self._prefix)
        if isinstance(wanted.target, Toolkit):
            laid_out = lay_out_toolkit(self._prefix, wanted, wanted.target, self._store, inventories)
            finish_toolkit(self._prefix, wanted, laid_out, directory_name)
            return laid_out.directory
        python = wanted.target.inputs.python
        linker = Linker(self._prefix, self._uv, self._store, inventories)
        tree = linker.link_environment(wanted, self._interpreters({python})[python])
        compiler = Compiler(
            self._prefix, inventories, self._options.jobs, not self._options.copy, self._uv.inherit
        )
        compiler.compile_missing([tree], Stage("compile"))
        compiler.link_bytecode(tree)
        finish_environment(self._prefix, tree)
        return tree.directory

    def _interpreters(self, versions: Iterable[str]) -> dict[str, Interpreter]:
        interpreters, missing = provide_interpreters(
            self._uv, versions, downloads=self._options.downloads, warn=self._reporter.warning
        )
        for error in missing.values():
            raise error
        return interpreters


def _differences(made: Path, tree: Path) -> set[str]:
    found = set()
    for directory, _, names in os.walk(made):
        for name in names:
            path = os.path.relpath(Path(directory) / name, made)
            if not _same(made / path, tree / path):
                found.add(path)
    return found


def _same(made: Path, found: Path) -> bool:
    if made.is_symlink() or found.is_symlink():
        return found.is_symlink() and made.is_symlink() and made.readlink() == found.readlink()
    return found.is_file() and (made.samefile(found) or file_sha256(made) == file_sha256(found))


def _is_sound(path: Path, sha256: str) -> bool:
    try:
        return file_sha256(path) == sha256
    except OSError:
        return False


def _remove(path: Path, tree: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
    parent = path.parent
    while parent != tree and not any(parent.iterdir()):
        parent.rmdir()
        parent = parent.parent
