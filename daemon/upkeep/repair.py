"""Restores what `verify` found damaged, from the prefix itself, uv's cache or the index.

Nothing is written in place: that would spread the damage to every link of a file. The right content gets a
name in the staging folder, and is renamed over what is damaged. A tree that cannot be restored leaves the
others alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from daemon.errors import DamageError, InterpreterError, PrefixError
from daemon.host.durability import sync_filesystem
from daemon.host.system_error import system_errors
from daemon.install.gpu_architectures import record_architectures
from daemon.install.options import InstallOptions, make_uv
from daemon.prefix.finding import Finding, by_tree, summarize
from daemon.prefix.gpu_architectures import of_architectures
from daemon.prefix.interpreter_folder import interpreter_version
from daemon.prefix.mending import remove_anything
from daemon.prefix.prefix import Prefix
from daemon.prefix.retirement import remove_tree
from daemon.prefix.staging import begin_staging, end_staging
from daemon.prefix.store_check import is_of_a_store
from daemon.prefix.store_mounts import check_stores
from daemon.prefix.toolkit_tree import is_used, link_toolkit
from daemon.prefix.tree_label import parse_label, tree_at
from daemon.prefix.writer_lock import WriterLock, writer_lock
from daemon.report.progress import Reporter
from daemon.upkeep.generation_repair import GenerationRepair, is_generation
from daemon.upkeep.repair_source import RepairSource
from daemon.upkeep.repaired import Repaired
from daemon.upkeep.tree_repair import TreeRepair
from daemon.upkeep.verify import VerifyResult, verify
from daemon.uv.leftovers import clean_leftovers
from daemon.uv.program import Uv
from gens.catalog import Catalog
from gens.errors import MonobaseError


@dataclass(slots=True)
class RepairResult(VerifyResult):
    """The result of a repair: what a verification after it found, and what failed.

    Attributes:
        failures: Why a tree could not be restored, by its path below the prefix.
    """

    failures: dict[str, MonobaseError] = field(default_factory=dict)


def repair(
    prefix: Prefix,
    catalog: Catalog,
    uv_program: Path,
    generation_names: list[str],
    options: InstallOptions,
    reporter: Reporter,
    *,
    stores: bool = False,
) -> RepairResult:
    """Verify some generations, and restore what is damaged.

    Args:
        prefix: The prefix.
        catalog: The generations and their locks; a generation that it lacks is restored as far as possible.
        uv_program: The uv binary.
        generation_names: Names of generations, such as `g00003`.
        options: The options of an install.
        reporter: Where findings and progress are reported.
        stores: Whether to repair what belongs to no generation as well.

    Returns:
        What is still damaged, and why.

    Raises:
        MonobaseError: The disk is full, or the prefix is in use.
    """
    with system_errors(prefix.root):
        prefix.make_directories()
        with writer_lock(prefix, options.lock_timeout_s, reporter.info) as writer:
            clean_leftovers(prefix, reporter)
            before = verify(prefix, generation_names, options.jobs, stores=stores)
            if not before.findings:
                return _result(before, {})
            _report(before.findings, reporter)
            begin_staging(prefix)
            try:
                check_stores(prefix, copy=options.copy)
                work = _Repair(writer, catalog, make_uv(uv_program, writer, options), options, reporter)
                work.run(before.findings)
            finally:
                end_staging(prefix, ignore_errors=True)
            return _result(verify(prefix, generation_names, options.jobs, stores=stores), work.failures)


def _report(findings: list[Finding], reporter: Reporter) -> None:
    """Report what was found: a line for each tree, or as JSON each finding."""
    if reporter.log_format == "json":
        for finding in findings:
            reporter.warning(
                str(finding), tree=finding.tree, path=finding.path, kind=finding.kind, detail=finding.detail
            )
    else:
        for line in summarize(findings):
            reporter.warning(line)


def _result(found: VerifyResult, failures: dict[str, MonobaseError]) -> RepairResult:
    return RepairResult(
        found.trees, found.interpreters, found.files, found.read_bytes, found.findings, failures
    )


class _Repair:
    """The steps of one repair."""

    def __init__(
        self, writer: WriterLock, catalog: Catalog, uv: Uv, options: InstallOptions, reporter: Reporter
    ) -> None:
        self.failures: dict[str, MonobaseError] = {}
        self._writer = writer
        self._prefix = writer.prefix
        self._reporter = reporter
        self._source = RepairSource(writer, catalog, uv, options, reporter)
        self._generations = GenerationRepair(self._source, catalog, options.selection, reporter)

    def run(self, findings: list[Finding]) -> None:
        """Restore what can be: first what others run on or are made of, last what lists others."""
        found = by_tree(self._repairable(findings))
        steps = {
            "interpreter": self._interpreter,
            "store": self._store,
            "generation": self._generations.restore,
            "tree": self._tree,
        }
        for kind, restore in steps.items():
            for tree, of_it in found.items():
                if _kind(of_it[0]) == kind:
                    self._guarded(tree, restore, of_it)
        for tree, of_it in found.items():
            if is_generation(tree):
                self._guarded(tree, self._write_last, of_it)
        sync_filesystem(self._prefix.root)

    def _repairable(self, findings: list[Finding]) -> list[Finding]:
        """Leave out what a newer release has written, and what is below it."""
        placed = [self._generations.place(finding) for finding in findings]
        newer = {finding.tree for finding in placed if finding.kind == "newer" and not is_of_a_store(finding)}
        below = tuple(f"{tree}/" for tree in newer if is_generation(tree))
        return [
            finding
            for finding in placed
            if finding.kind != "newer" and finding.tree not in newer and not finding.tree.startswith(below)
        ]

    def _guarded(
        self, tree: str, restore: Callable[[str, list[Finding]], Repaired], findings: list[Finding]
    ) -> None:
        self._writer.check()
        try:
            try:
                with system_errors(self._prefix.root):
                    restore(tree, findings).report(tree, self._reporter)
            except OSError as error:
                raise DamageError(
                    f"{error.filename or tree}: {error.strerror}; look at it, and try again"
                ) from error
        except PrefixError:
            raise
        except MonobaseError as error:
            self.failures.setdefault(tree, error)
            self._reporter.error(f"{tree}: could not be restored: {error}", tree=tree)

    def _interpreter(self, tree: str, findings: list[Finding]) -> Repaired:
        version = interpreter_version(parse_label(tree).name)
        search = self._source.interpreters
        if search.managed(version) is None:
            raise InterpreterError(f"Python {version} cannot be downloaded: {search.reason}")
        return Repaired.of(findings)

    def _store(self, tree: str, findings: list[Finding]) -> Repaired:
        if tree == "monobase":
            return Repaired()  # a person may have made these links and files
        for finding in findings:
            path = tree_at(self._prefix, tree) / finding.path
            if finding.kind == "unreadable" or path.is_symlink() or not path.is_dir():
                remove_anything(path)  # what needs it makes it again; a folder that no install made stays
        if tree == "wheels":
            self._record_architectures(findings)
        return Repaired.of(findings)

    def _record_architectures(self, findings: list[Finding]) -> None:
        """Restore records of GPU architectures: no install does, as no manifest names them."""
        digests = [of_architectures(finding.path) for finding in findings]
        found = [self._source.locks.wheel(digest) for digest in digests if digest is not None]
        wheels = [item[0] for item in found if item is not None]
        record_architectures(self._prefix, wheels, self._reporter.warning)

    def _tree(self, tree: str, findings: list[Finding]) -> Repaired:
        label = parse_label(tree)
        links = self._generations.links.get(tree, [])
        if label.kind == "toolkit" and not links and not is_used(self._prefix, label.name):
            remove_tree(self._writer, tree_at(self._prefix, tree))
            self._reporter.info(f"removed {tree}: no generation uses it; an install makes it again")
            return Repaired()
        done = TreeRepair(self._source, tree).run(findings)
        for link in links:
            link_toolkit(link, label.name)
        return done

    def _write_last(self, tree: str, findings: list[Finding]) -> Repaired:
        return self._generations.write_last(tree, findings, self.failures)


def _kind(finding: Finding) -> str:
    kind = parse_label(finding.tree).kind
    return "tree" if kind in {"target", "toolkit"} else kind
