"""Compare what stands on the prefix with the manifests that sealing wrote."""

import re
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from daemon.host.modes import FOLDER_MODE
from daemon.prefix.environments_file import is_environments_file, listed_targets
from daemon.prefix.finding import Finding, Kind, count_differences
from daemon.prefix.generation import GenerationEntry, is_strange_folder, list_generation
from daemon.prefix.interpreter_folder import interpreter_names_of
from daemon.prefix.manifest import MANIFEST_NAME
from daemon.prefix.mark import Mark
from daemon.prefix.mark_check import check_mark
from daemon.prefix.prefix import Prefix
from daemon.prefix.store_check import check_stores
from daemon.prefix.toolkit_tree import linked_toolkit, toolkit_link, toolkit_names, toolkit_of_digest
from daemon.prefix.tree_check import Digests, folder_mode, tree_label, verify_interpreter, verify_tree

__all__ = ["Digests", "Finding", "Kind", "count_differences", "tree_label", "verify_tree"]
_STRANGE_FOLDER = "a folder that no install made; it is never removed: look at it, and move it away"
_TOOLKIT = re.compile(r"cud(a|nn)[0-9]")


@dataclass(slots=True)
class VerifyResult:
    """What was checked.

    Attributes:
        trees: How many environments and toolkits.
        interpreters: How many managed interpreters, which environments run on.
        files: How many files, each name of a shared file counted.
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
    each: Callable[[str], None] | None = None,
    *,
    stores: bool = False,
) -> VerifyResult:
    """Check every environment and toolkit of some generations, sealed or not, and what they run on.

    Nothing is written, so a read-only mount can be checked.

    Args:
        prefix: The prefix.
        generation_names: Names of generations, such as `g00003`.
        jobs: How many files are read at once.
        each: Told the name of each tree before it is checked.
        stores: Whether what belongs to no generation is looked at too: inventories, shared files, strangers.

    Returns:
        What was checked and found.
    """
    digests = Digests(jobs)
    checker = Checker(prefix, lambda _: digests, each or (lambda _: None))
    findings = [finding for name in generation_names for finding in checker.generation(name)]
    if stores:
        findings += checker.unused_toolkits()
        check_stores(prefix, findings)
    return VerifyResult(
        checker.trees,
        checker.interpreters,
        checker.files,
        digests.read_bytes,
        list(dict.fromkeys(findings)),  # a toolkit's stand at each generation that uses it
    )


@dataclass(slots=True)
class Checker:
    """Checks generations; a tree that several of them use is looked at once.

    Attributes:
        prefix: The prefix.
        digests_of: Gives what reads the files of a tree, by the path of its manifest.
        each: Told the name of each tree before it is checked.
        trees: How many environments and toolkits were checked.
        interpreters: How many interpreters were checked.
        files: How many files were checked.
    """

    prefix: Prefix
    digests_of: Callable[[Path], Digests]
    each: Callable[[str], None]
    trees: int = 0
    interpreters: int = 0
    files: int = 0
    _found: dict[str, list[Finding]] = field(default_factory=dict)

    def generation(self, name: str) -> list[Finding]:
        """Check one generation, with its toolkits and interpreters.

        Args:
            name: Such as `g00003`.

        Returns:
            The differences; none when it is being removed, or is not there.
        """
        directory = self.prefix.generation(name)
        identity = _identity(directory)
        findings: list[Finding] = []
        mark = check_mark(self.prefix, name, findings)
        known = _known_targets(self.prefix, name, mark)
        try:
            entries = list_generation(self.prefix, name)
            mode = stat.S_IMODE(directory.lstat().st_mode) & 0o777
        except FileNotFoundError:
            return []
        except OSError as error:
            return [Finding(f"monobase/{name}", "", "unreadable", str(error.strerror))]
        if mode != FOLDER_MODE:
            findings.append(Finding(f"monobase/{name}", ".", "changed", folder_mode(mode)))
        if mark is not None:
            findings = self._find_links(mark, findings)
        elif not is_environments_file(self.prefix.environments_file(name)):
            findings.append(
                Finding(f"monobase/{name}", "environments", "changed", "is no list of environments")
            )
        for entry in entries:
            with suppress(FileNotFoundError):  # with its generation; else its mark or list misses it
                findings += self._entry(name, entry, entry.name in known)
        # A prune renames a generation away while it is looked at, and an install may bring it again: that is
        # no damage.
        return findings if _identity(directory) == identity else []

    def unused_toolkits(self) -> list[Finding]:
        """Check the toolkits that no checked generation uses: the next one takes what stands there."""
        findings: list[Finding] = []
        for name in toolkit_names(self.prefix):
            if f"cuda/{name}" not in self._found:
                findings += self._tree(f"cuda/{name}", self.prefix.toolkits / name)
        return findings

    def _find_links(self, mark: Mark, findings: list[Finding]) -> list[Finding]:
        """Tell a link that leads elsewhere from a toolkit that is damaged: the sealed one stands there."""
        told = []
        for finding in findings:
            target, _, file = finding.path.partition("/")
            if file == MANIFEST_NAME and _TOOLKIT.match(target) and target in mark.manifests:
                sealed = toolkit_of_digest(self.prefix, mark.manifests[target])
                if sealed is not None:
                    detail = f"links elsewhere than to {toolkit_link(sealed)}"
                    told.append(Finding(finding.tree, target, "changed", detail))
                    continue
            told.append(finding)
        return told

    def _entry(self, name: str, entry: GenerationEntry, known: bool) -> list[Finding]:
        top = f"monobase/{name}"
        if entry.kind == "link":
            return self._linked(top, entry, known)
        if entry.kind == "folder":
            if known and _TOOLKIT.match(entry.name):
                return [Finding(top, entry.name, "changed", "is a folder, not a link to a toolkit")]
            if known or not is_strange_folder(entry.path):
                return self._environment(entry.path)
            return [Finding(top, entry.name, "extra", _STRANGE_FOLDER)]
        if known:
            return [Finding(top, entry.name, "changed", "is a file, not a folder")]
        return [Finding(top, entry.name, "extra")]

    def _linked(self, top: str, entry: GenerationEntry, known: bool) -> list[Finding]:
        toolkit = linked_toolkit(entry.link)
        if toolkit is None:
            kind: Kind = "changed" if known else "extra"
            detail = f"links to {entry.link}, which is no toolkit of the prefix"
            return [Finding(top, entry.name, kind, detail)]
        tree = self.prefix.toolkits / toolkit
        if not tree.is_dir():
            return [Finding(top, entry.name, "missing" if known else "extra", "a broken link")]
        return self._tree(f"cuda/{toolkit}", tree)

    def _environment(self, tree: Path) -> list[Finding]:
        label = tree_label(self.prefix, tree)
        findings = list(self._tree(label, tree))
        for name in interpreter_names_of(self.prefix, tree):
            of_it = f"uv/python/{name}"
            if of_it not in self._found:
                self.each(of_it)
                self.interpreters += 1
                self._found[of_it] = []
                digests = self.digests_of(self.prefix.interpreter_manifest(name))
                self.files += verify_interpreter(self.prefix, name, digests, self._found[of_it])
            findings += self._found[of_it]
        return findings

    def _tree(self, label: str, tree: Path) -> list[Finding]:
        if label not in self._found:
            self.each(label)
            self.trees += 1
            identity = _identity(tree)
            findings: list[Finding] = []
            self.files += verify_tree(self.prefix, tree, self.digests_of(tree / MANIFEST_NAME), findings)
            self._found[label] = findings if _identity(tree) == identity else []
        return self._found[label]


def _identity(directory: Path) -> tuple[int, int] | None:
    try:
        status = directory.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def needs_a_person(finding: Finding) -> bool:
    """Tell whether a finding is a folder that stands among environments, which nobody removes by itself."""
    return finding.detail == _STRANGE_FOLDER


def _known_targets(prefix: Prefix, name: str, mark: Mark | None) -> set[str]:
    return {*(mark.manifests if mark is not None else ()), *listed_targets(prefix, name)}
