"""Put back what `verify` found damaged, from the prefix itself, the cache or the index.

Writing into a damaged file would spread the damage to every link of it, so nothing is written in place: what
is right goes to a name in staging, and is renamed over what is wrong. Each tree is restored by itself: one
that cannot be leaves the others alone.
"""

import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from daemon.errors import DamageError, InterpreterError, PrefixError
from daemon.host.durability import sync_filesystem
from daemon.host.system_error import system_errors
from daemon.install.pipeline import InstallOptions, make_uv
from daemon.interpreters.interpreter import ManagedInterpreters
from daemon.prefix.environments_file import replace_environments
from daemon.prefix.finding import Finding, by_tree, summarize
from daemon.prefix.generation import is_sealed
from daemon.prefix.manifest import MANIFEST_NAME
from daemon.prefix.mending import remove_anything, remove_extra, set_folder
from daemon.prefix.prefix import ENVIRONMENTS_NAME, MARK_NAME, Prefix
from daemon.prefix.publication import seal, unseal
from daemon.prefix.retirement import remove_tree
from daemon.prefix.staging import begin_staging, end_staging
from daemon.prefix.store_check import is_of_a_store
from daemon.prefix.store_mounts import check_stores
from daemon.prefix.toolkit_tree import (
    is_used,
    link_text,
    link_toolkit,
    linked_toolkit,
    sealed_toolkit,
    toolkit_directory_name,
)
from daemon.prefix.writer_lock import WriterLock, writer_lock
from daemon.report.progress import Reporter, Value
from daemon.report.shown_text import visible
from daemon.upkeep.repair_source import RepairSource
from daemon.upkeep.tree_repair import TreeRepair
from daemon.upkeep.verify import VerifyResult, needs_a_person, verify
from daemon.uv.leftovers import clean_leftovers
from daemon.uv.program import Uv
from gens.catalog import Catalog
from gens.errors import MonobaseError
from gens.generation import Toolkit

_GENERATION = re.compile(r"monobase/(?P<name>g[0-9]+)")
_TOLD = 3
_VOUCHERS = (MARK_NAME, ENVIRONMENTS_NAME)  # made anew when what they vouch for is restored
Work = Callable[[str, list[Finding]], None]


@dataclass(slots=True)
class RepairResult(VerifyResult):
    """What is there after a repair.

    Attributes:
        failures: What could not be restored, and why, by its path under the prefix.
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
    """Check some generations, and restore what is damaged.

    Args:
        prefix: The prefix.
        catalog: The generations and their locks; one that it does not have is restored as far as possible.
        uv_program: The uv binary.
        generation_names: Names of generations, such as `g00003`.
        options: What an operator decides.
        reporter: Where it is told.
        stores: Whether what belongs to no generation is looked at too.

    Returns:
        What is wrong still, and why.

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
            tell(before.findings, reporter)
            begin_staging(prefix)
            try:
                check_stores(prefix, copy=options.copy)
                work = _Repair(writer, catalog, make_uv(uv_program, writer, options), options, reporter)
                work.run(before.findings)
            finally:
                end_staging(prefix, ignore_errors=True)
            return _result(verify(prefix, generation_names, options.jobs, stores=stores), work.failures)


def tell(findings: list[Finding], reporter: Reporter) -> None:
    """Say what was found: a line a tree for people, each finding for machines."""
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
        self._links: dict[str, list[Path]] = {}  # of generations, by the toolkit that they should lead to
        self._writer = writer
        self._prefix = writer.prefix
        self._catalog = catalog
        self._uv = uv
        self._options = options
        self._reporter = reporter
        self._interpreters = ManagedInterpreters(
            uv, reporter.warning, None if options.downloads else "downloads are switched off"
        )
        self._source = RepairSource(writer, catalog, uv, options, reporter)

    def run(self, findings: list[Finding]) -> None:
        """Restore what can be: what others run on first, what vouches for others last."""
        found = by_tree(self._mendable(findings))
        tops = {tree: of_it for tree, of_it in found.items() if _GENERATION.fullmatch(tree)}
        for tree, of_it in found.items():
            if tree.startswith("uv/python/"):
                self._guarded(tree, self._interpreter, of_it)
        for tree, of_it in found.items():
            if is_of_a_store(of_it[0]):
                self._guarded(tree, self._store, of_it)
        for tree, of_it in tops.items():
            self._guarded(tree, self._top, of_it)
        for tree, of_it in found.items():
            if tree not in tops and not tree.startswith("uv/") and not is_of_a_store(of_it[0]):
                self._guarded(tree, self._tree, of_it)
        for tree, of_it in tops.items():
            self._guarded(tree, self._seal, of_it)
        sync_filesystem(self._prefix.root)

    def _mendable(self, findings: list[Finding]) -> list[Finding]:
        """Leave out what a newer monobase has written, and what is read with it."""
        placed = [self._place(finding) for finding in findings]
        newer = {finding.tree for finding in placed if finding.kind == "newer" and not is_of_a_store(finding)}
        below = tuple(f"{tree}/" for tree in newer if _GENERATION.fullmatch(tree))
        return [
            finding
            for finding in placed
            if finding.kind != "newer" and finding.tree not in newer and not finding.tree.startswith(below)
        ]

    def _guarded(
        self, tree: str, work: Callable[[str, list[Finding]], None], findings: list[Finding]
    ) -> None:
        self._writer.check()
        try:
            try:
                with system_errors(self._prefix.root):
                    work(tree, findings)
            except OSError as error:
                raise DamageError(
                    f"{error.filename or tree}: {error.strerror}; look at it, and try again"
                ) from error
        except PrefixError:
            raise
        except MonobaseError as error:
            self.failures.setdefault(tree, error)
            self._reporter.error(f"{tree}: could not be restored: {error}", tree=tree)

    def _place(self, finding: Finding) -> Finding:
        """Give a finding to the tree that it is about: a mark holds the digests of manifests."""
        target, _, name = finding.path.partition("/")
        if _GENERATION.fullmatch(finding.tree) is None or name != MANIFEST_NAME:
            return finding
        label = f"{finding.tree}/{target}"
        toolkit = self._toolkit_behind(label)
        if toolkit is not None:
            self._links.setdefault(f"cuda/{toolkit}", []).append(self._prefix.root / label)
            label = f"cuda/{toolkit}"
        return Finding(label, MANIFEST_NAME, finding.kind, finding.detail)

    def _toolkit_behind(self, label: str) -> str | None:
        """Give the name below `cuda` of what a link should lead to; None for an environment."""
        link = self._prefix.root / label
        text = link_text(link)
        if text is not None:
            return linked_toolkit(text)
        try:
            wanted = self._source.locks.wanted(label)
        except MonobaseError:
            return None
        if not isinstance(wanted.target, Toolkit):
            return None
        try:
            return toolkit_directory_name(self._prefix, wanted.target, wanted.lock)[0]
        except MonobaseError:
            return wanted.target.directory_name

    # --- what is restored ---

    def _interpreter(self, tree: str, findings: list[Finding]) -> None:
        version = tree.split("-")[1].partition("+")[0]
        if self._interpreters.provide(version) is None:
            raise InterpreterError(f"Python {version} cannot be downloaded: {self._interpreters.reason}")
        self._restored(tree, findings)

    def _store(self, tree: str, findings: list[Finding]) -> None:
        if tree == "monobase":
            return  # links that people made, maybe
        for finding in findings:
            path = self._prefix.root / tree / finding.path
            if finding.kind == "unreadable" or path.is_symlink() or not path.is_dir():
                remove_anything(path)  # what needs it makes it anew; a strange folder stays
        self._restored(tree, findings)

    def _top(self, tree: str, findings: list[Finding]) -> None:
        directory = self._prefix.root / tree
        for finding in findings:
            path = directory / finding.path
            if finding.path == ".":
                set_folder(directory)
            elif finding.kind == "extra" and not needs_a_person(finding):
                remove_extra(directory, finding.path)
            elif finding.path and finding.path not in _VOUCHERS:
                self._target(path, finding)
        done = [item for item in findings if not needs_a_person(item) and item.path not in _VOUCHERS]
        self._restored(tree, done)

    def _target(self, path: Path, finding: Finding) -> None:
        """Restore the link of a toolkit; where an environment should be and is something else, it goes."""
        toolkit = self._sealed_toolkit(path) or self._toolkit_of_definition(finding)
        if toolkit is not None:
            if (self._prefix.toolkits / toolkit).is_dir():
                link_toolkit(path, toolkit)
            else:
                self._links.setdefault(f"cuda/{toolkit}", []).append(path)
        elif path.is_symlink() or not path.is_dir():
            remove_anything(path)

    def _sealed_toolkit(self, path: Path) -> str | None:
        with suppress(MonobaseError):
            return sealed_toolkit(self._prefix, path.parent.name, path.name)
        return None

    def _toolkit_of_definition(self, finding: Finding) -> str | None:
        wanted = self._source.locks.wanted(f"{finding.tree}/{finding.path}")
        if not isinstance(wanted.target, Toolkit):
            return None
        return toolkit_directory_name(self._prefix, wanted.target, wanted.lock)[0]

    def _tree(self, tree: str, findings: list[Finding]) -> None:
        if (
            tree.startswith("cuda/")
            and not is_used(self._prefix, tree.removeprefix("cuda/"))
            and tree not in self._links
        ):
            remove_tree(self._writer, self._prefix.root / tree)
            self._reporter.info(
                f"removed {tree}: no generation uses it; an install that needs it makes it anew"
            )
            return
        done = TreeRepair(self._source, tree).run(findings)
        for link in self._links.get(tree, ()):
            link_toolkit(link, tree.rpartition("/")[2])
        for text, paths in (("restored", done.restored), ("removed", done.removed)):
            self._tell(tree, text, paths)

    def _seal(self, tree: str, findings: list[Finding]) -> None:
        name = tree.rpartition("/")[2]
        damaged = [item for item in findings if item.kind != "extra" and item.path in _VOUCHERS]
        if not damaged:
            return
        broken = [label for label in self.failures if label == tree or label.startswith(f"{tree}/")]
        if broken:
            raise DamageError(
                f"vouches for what could not be restored ({', '.join(broken)}), and waits for it"
            )
        generation = self._catalog.generation(int(name[1:]))
        marked_wrongly = any(item.path == MARK_NAME for item in damaged)
        if marked_wrongly:
            unseal(self._writer, name)
        replace_environments(self._prefix, generation, sealed=is_sealed(self._prefix, generation))
        if marked_wrongly and not seal(self._writer, generation):
            self._reporter.warning(f"{name} lacks environments, so it is not sealed; `install` completes it")
        self._restored(tree, damaged)

    # --- telling ---

    def _restored(self, tree: str, findings: Iterable[Finding]) -> None:
        extra: list[str] = []
        other: list[str] = []
        for finding in findings:
            (extra if finding.kind == "extra" else other).append(finding.path or "all of it")
        self._tell(tree, "restored", other)
        self._tell(tree, "removed", extra)

    def _tell(self, tree: str, text: str, paths: list[str]) -> None:
        if not paths:
            return
        some = ", ".join(map(visible, paths[:_TOLD])) + (" and more" if len(paths) > _TOLD else "")
        count = f"{len(paths):,} files: " if len(paths) > 1 else ""
        facts: dict[str, Value] = (
            {"tree": tree, "paths": paths} if self._reporter.log_format == "json" else {}
        )
        self._reporter.info(f"{text} {tree}: {count}{some}", **facts)
