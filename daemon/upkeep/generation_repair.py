"""Restores the folder of a generation: its mode, its links to toolkits, its list and its mark."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from daemon.errors import DamageError
from daemon.prefix.environments_file import replace_environments
from daemon.prefix.finding import Finding
from daemon.prefix.generation import read_seal
from daemon.prefix.manifest import MANIFEST_NAME
from daemon.prefix.mark import Mark
from daemon.prefix.mending import remove_anything, remove_extra, restore_folder
from daemon.prefix.prefix import ENVIRONMENTS_NAME, MARK_NAME
from daemon.prefix.publication import open_mark, seal, unseal
from daemon.prefix.toolkit_tree import (
    link_text,
    link_toolkit,
    linked_toolkit,
    sealed_toolkit,
    toolkit_directory_name,
)
from daemon.prefix.tree_label import parse_label, target_label, toolkit_label, tree_at
from daemon.report.progress import Reporter
from daemon.upkeep.repair_source import RepairSource
from daemon.upkeep.repaired import Repaired
from daemon.upkeep.verify import needs_a_person
from gens.catalog import Catalog
from gens.errors import DefinitionError, MonobaseError
from gens.generation import Toolkit
from gens.selection import EVERYTHING, Selection

_NOTHING = "-"  # a pattern that matches no name
_WRITTEN_LAST = (MARK_NAME, ENVIRONMENTS_NAME)  # they list trees, which are restored first


def is_generation(tree: str) -> bool:
    """Return whether the tree of a finding is the folder of a generation."""
    return parse_label(tree).kind == "generation"


class GenerationRepair:
    """The repair of the folders of generations.

    Attributes:
        links: The links to make when a toolkit is restored, by the path of the toolkit below the prefix.
    """

    def __init__(
        self, source: RepairSource, catalog: Catalog, selection: Selection, reporter: Reporter
    ) -> None:
        self.links: dict[str, list[Path]] = {}
        self._selection = selection
        self._source = source
        self._prefix = source.prefix
        self._catalog = catalog
        self._reporter = reporter

    def place(self, finding: Finding) -> Finding:
        """Return a finding with the tree that it is about: a mark lists the manifests of other trees."""
        target, _, name = finding.path.partition("/")
        if not is_generation(finding.tree) or name != MANIFEST_NAME:
            return finding
        label = target_label(parse_label(finding.tree).name, target)
        toolkit = self._toolkit_behind(label)
        if toolkit is not None:
            self.links.setdefault(toolkit_label(toolkit), []).append(tree_at(self._prefix, label))
            label = toolkit_label(toolkit)
        return Finding(label, MANIFEST_NAME, finding.kind, finding.detail)

    def restore(self, tree: str, findings: Iterable[Finding]) -> Repaired:
        """Restore all but the mark and the list.

        Raises:
            MonobaseError: No definition names what a damaged link leads to.
        """
        directory = tree_at(self._prefix, tree)
        done = [item for item in findings if item.path not in _WRITTEN_LAST and not needs_a_person(item)]
        for finding in done:
            if finding.path == ".":
                restore_folder(directory, "")
            elif finding.kind == "extra":
                remove_extra(directory, finding.path)
            elif finding.path:
                self._restore_target(tree, finding.path)
        return Repaired.of(done)

    def write_last(self, tree: str, findings: Iterable[Finding], failures: Iterable[str]) -> Repaired:
        """Restore the mark and the list.

        Args:
            tree: Path of the generation below the prefix.
            findings: Its findings.
            failures: The trees that could not be restored.

        Raises:
            DamageError: One of these is of the generation.
            MonobaseError: The definition of the generation cannot be read, or it was sealed from another one.
        """
        damaged = [item for item in findings if item.kind != "extra" and item.path in _WRITTEN_LAST]
        if not damaged:
            return Repaired()
        broken = [label for label in failures if label == tree or label.startswith(f"{tree}/")]
        if broken:
            raise DamageError(f"waits for what could not be restored: {', '.join(broken)}")
        name = parse_label(tree).name
        generation = self._catalog.generation(int(name[1:]))
        writer = self._source.writer
        if any(item.path == MARK_NAME for item in damaged):
            unseal(writer, name)
        mark = read_seal(self._prefix, generation)
        selection = self._selection_of(mark)
        if mark is not None:
            open_mark(writer, name)
        replace_environments(self._prefix, generation, sealed=False, selection=selection)
        if not seal(writer, generation, selection):
            self._reporter.warning(f"{name} lacks environments, so it is not sealed; `install` completes it")
        return Repaired.of(damaged)

    def _selection_of(self, mark: Mark | None) -> Selection:
        """Return the selection that a generation is sealed for; that of the options where it has no mark."""
        if mark is None:
            return self._catalog.resolve(self._selection)
        if not mark.is_part:
            return EVERYTHING
        sealed_for = replace(Selection.of_option(mark.selection), eager=tuple(mark.manifests))
        try:
            return self._catalog.resolve(sealed_for)
        except DefinitionError:  # the pool has gone: what is sealed is what is known of it
            return replace(sealed_for, patterns=tuple(mark.manifests) or (_NOTHING,))

    def _toolkit_behind(self, label: str) -> str | None:
        """Return the name of the toolkit that a link leads to, or should lead to; None for another target."""
        text = link_text(tree_at(self._prefix, label))
        if text is not None:
            return linked_toolkit(text)
        try:
            target = self._source.locks.wanted(label).target
        except MonobaseError:
            return None
        try:
            return self._defined_toolkit(label)
        except MonobaseError:
            return target.directory_name if isinstance(target, Toolkit) else None

    def _restore_target(self, tree: str, name: str) -> None:
        """Restore the link to a toolkit; remove what has the name of an environment and is not a folder."""
        path = tree_at(self._prefix, tree) / name
        toolkit = self._sealed_toolkit(path) or self._defined_toolkit(f"{tree}/{name}")
        if toolkit is None:
            if path.is_symlink() or not path.is_dir():
                remove_anything(path)
        elif self._prefix.toolkit(toolkit).is_dir():
            link_toolkit(path, toolkit)
        else:
            self.links.setdefault(toolkit_label(toolkit), []).append(path)

    def _sealed_toolkit(self, path: Path) -> str | None:
        try:
            return sealed_toolkit(self._prefix, path.parent.name, path.name)
        except MonobaseError:
            return None

    def _defined_toolkit(self, label: str) -> str | None:
        wanted = self._source.locks.wanted(label)
        if not isinstance(wanted.target, Toolkit):
            return None
        return toolkit_directory_name(self._prefix, wanted.target, wanted.lock)[0]
