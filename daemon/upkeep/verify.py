"""Compares installed generations with the marks and manifests that sealing wrote."""

import re
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from daemon.host.modes import FOLDER_MODE
from daemon.prefix.environments_file import has_readable_list, listed_targets
from daemon.prefix.finding import Finding, Kind
from daemon.prefix.generation import GenerationEntry, is_strange_folder, list_generation
from daemon.prefix.interpreter_folder import interpreter_names_of
from daemon.prefix.manifest import MANIFEST_NAME
from daemon.prefix.mark import Mark
from daemon.prefix.mark_check import check_mark
from daemon.prefix.prefix import ENVIRONMENTS_NAME, Prefix
from daemon.prefix.store_check import check_stores
from daemon.prefix.toolkit_tree import linked_toolkit, toolkit_link, toolkit_names, toolkit_of_digest
from daemon.prefix.tree_check import Digests, folder_mode, verify_interpreter, verify_tree
from daemon.prefix.tree_label import (
    generation_label,
    interpreter_label,
    parse_label,
    toolkit_label,
    tree_label,
)

_STRANGE_FOLDER = "a folder that no install made; it is never removed: look at it, and move it away"
_TOOLKIT = re.compile(r"cud(a|nn)[0-9]")


@dataclass(slots=True)
class VerifyResult:
    """The result of a verification.

    Attributes:
        trees: Number of environments and toolkits.
        interpreters: Number of managed interpreters that the environments run on.
        files: Number of files, each name of a shared file counted.
        read_bytes: Bytes that were read, each inode once.
        findings: The differences.
    """

    trees: int = 0
    interpreters: int = 0
    files: int = 0
    read_bytes: int = 0
    findings: list[Finding] = field(default_factory=list)


def verify(
    prefix: Prefix,
    generation_names: Iterable[str],
    jobs: int,
    each: Callable[[str], None] = lambda _: None,
    *,
    stores: bool = False,
) -> VerifyResult:
    """Check every environment and toolkit of some generations, sealed or partial, and their interpreters.

    Nothing is written, so a read-only mount can be checked.

    Args:
        prefix: The prefix.
        generation_names: Names of generations, such as `g00003`.
        jobs: Number of files to read at once.
        each: Called with the label of each tree before it is checked.
        stores: Whether to check what belongs to no generation as well: unused toolkits and the stores.

    Returns:
        What was checked and found.
    """
    digests = Digests(jobs)
    checker = Checker(prefix, lambda _: digests, each)
    findings = [finding for name in generation_names for finding in checker.generation(name)]
    if stores:
        findings += checker.unused_toolkits()
        check_stores(prefix, findings)
    findings = list(dict.fromkeys(findings))  # those of a toolkit come with each generation that uses it
    return VerifyResult(checker.trees, checker.interpreters, checker.files, digests.read_bytes, findings)


@dataclass(slots=True)
class Checker:
    """Checks generations; a tree that several of them use is checked once.

    Attributes:
        prefix: The prefix.
        digests_of: Returns what reads the files of a tree, given the path of its manifest.
        each: Called with the label of each tree before it is checked.
        files: Number of files that were checked.
    """

    prefix: Prefix
    digests_of: Callable[[Path], Digests]
    each: Callable[[str], None]
    files: int = 0
    _found: dict[str, list[Finding]] = field(default_factory=dict)

    @property
    def interpreters(self) -> int:
        """Number of interpreters that were checked."""
        return sum(parse_label(label).kind == "interpreter" for label in self._found)

    @property
    def trees(self) -> int:
        """Number of environments and toolkits that were checked."""
        return len(self._found) - self.interpreters

    def generation(self, name: str) -> list[Finding]:
        """Check one generation, with its toolkits and interpreters.

        Args:
            name: Such as `g00003`.

        Returns:
            The differences; none when the generation is being removed, or does not exist.
        """
        directory = self.prefix.generation(name)
        top = generation_label(name)
        identity = _identity(directory)
        findings: list[Finding] = []
        mark = check_mark(self.prefix, name, findings)
        try:
            entries = list_generation(self.prefix, name)
            mode = stat.S_IMODE(directory.lstat().st_mode) & 0o777
        except FileNotFoundError:
            return []
        except OSError as error:
            return [Finding(top, "", "unreadable", str(error.strerror))]
        if mode != FOLDER_MODE:
            findings.append(Finding(top, ".", "changed", folder_mode(mode)))
        if mark is not None:
            findings = [self._of_link(mark, finding) for finding in findings]
        if (mark is None or mark.is_open) and not has_readable_list(self.prefix, name):
            findings.append(Finding(top, ENVIRONMENTS_NAME, "changed", "is not a list of environments"))
        known = {*listed_targets(self.prefix, name), *(mark.manifests if mark is not None else ())}
        for entry in entries:
            with suppress(
                FileNotFoundError
            ):  # its generation is being removed; else its mark or list names it
                findings += self._entry(top, entry, entry.name in known)
        # Meanwhile a prune may have renamed the generation away, and an install have made it again.
        return findings if _identity(directory) == identity else []

    def unused_toolkits(self) -> list[Finding]:
        """Check the toolkits that no checked generation uses: the next install of one takes it as it is."""
        unused = [name for name in toolkit_names(self.prefix) if toolkit_label(name) not in self._found]
        return [finding for name in unused for finding in self._toolkit(name)]

    def _of_link(self, mark: Mark, finding: Finding) -> Finding:
        """Blame the link where a mark misses the manifest of a toolkit that is undamaged elsewhere."""
        target, _, file = finding.path.partition("/")
        if file == MANIFEST_NAME and _TOOLKIT.match(target):
            sealed = toolkit_of_digest(self.prefix, mark.manifests[target])
            if sealed is not None:
                detail = f"links elsewhere than to {toolkit_link(sealed)}"
                return Finding(finding.tree, target, "changed", detail)
        return finding

    def _entry(self, top: str, entry: GenerationEntry, known: bool) -> list[Finding]:
        kind: Kind = "changed" if known else "extra"
        if entry.kind == "link":
            toolkit = linked_toolkit(entry.link)
            if toolkit is None:
                detail = f"links to {entry.link}, which is not a toolkit of the prefix"
            elif self.prefix.toolkit(toolkit).is_dir():
                return self._toolkit(toolkit)
            else:
                kind, detail = "missing" if known else "extra", "a broken link"
        elif entry.kind == "file":
            detail = "is a file, not a folder" if known else ""
        elif known and _TOOLKIT.match(entry.name):
            detail = "is a folder, not a link to a toolkit"
        elif known or not is_strange_folder(entry.path):
            return self._environment(entry.path)
        else:
            detail = _STRANGE_FOLDER
        return [Finding(top, entry.name, kind, detail)]

    def _toolkit(self, name: str) -> list[Finding]:
        return self._tree(toolkit_label(name), self.prefix.toolkit(name))

    def _environment(self, tree: Path) -> list[Finding]:
        findings = list(self._tree(tree_label(self.prefix, tree), tree))
        for name in interpreter_names_of(self.prefix, tree):
            check = partial(verify_interpreter, self.prefix, name)
            manifest = self.prefix.interpreter_manifest(name)
            findings += self._once(interpreter_label(name), self.prefix.interpreter(name), manifest, check)
        return findings

    def _tree(self, label: str, tree: Path) -> list[Finding]:
        return self._once(label, tree, tree / MANIFEST_NAME, partial(verify_tree, self.prefix, tree))

    def _once(
        self, label: str, tree: Path, manifest: Path, check: Callable[[Digests, list[Finding]], int]
    ) -> list[Finding]:
        if label not in self._found:
            identity = _identity(tree)
            self.each(label)
            findings: list[Finding] = []
            self.files += check(self.digests_of(manifest), findings)
            # A tree that was removed or replaced since it was listed is not damaged. A missing interpreter is
            # damage: an environment needs it.
            is_there = identity is not None or manifest.parent != tree
            self._found[label] = findings if is_there and _identity(tree) == identity else []
        return self._found[label]


def needs_a_person(finding: Finding) -> bool:
    """Return whether a finding is a folder among environments that no install made, and no repair removes."""
    return finding.detail == _STRANGE_FOLDER


def _identity(directory: Path) -> tuple[int, int] | None:
    try:
        status = directory.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
