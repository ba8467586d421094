"""One difference between the prefix and its manifests, marks and records."""

from collections import Counter
from collections.abc import Iterable, Sized
from dataclasses import dataclass
from typing import Literal

from daemon.report.shown_text import visible

Kind = Literal["changed", "missing", "extra", "unreadable", "newer"]
_ALL_TOLD = 8
_EXAMPLES = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference.

    Attributes:
        tree: The environment, toolkit, interpreter or store, as its path under the prefix.
        path: The file in it; empty when the tree as a whole cannot be checked.
        kind: What is wrong; `newer` when a newer release has written it, which is not damage.
        detail: What was expected and what was found.
    """

    tree: str
    path: str
    kind: Kind
    detail: str = ""

    def __str__(self) -> str:
        """One line for a person."""
        place = f"{self.tree}/{self.path}" if self.path else self.tree
        return visible(f"{self.kind}: {place}" + (f": {self.detail}" if self.detail else ""))


def count_differences(found: Sized) -> str:
    """Return the number of differences in words: `1 difference`, `2 differences`."""
    return f"{len(found)} difference{'' if len(found) == 1 else 's'}"


def by_tree(findings: Iterable[Finding]) -> dict[str, list[Finding]]:
    """Sort findings by their tree, in the order in which they were found."""
    found: dict[str, list[Finding]] = {}
    for finding in findings:
        found.setdefault(finding.tree, []).append(finding)
    return found


def summarize(findings: Iterable[Finding]) -> list[str]:
    """Return a line for each tree, with counts by kind and some of its findings.

    Args:
        findings: The findings; those of a tree that has few are all told.

    Returns:
        The lines.
    """
    lines = []
    for tree, of_tree in by_tree(findings).items():
        if len(of_tree) <= _ALL_TOLD:
            lines += [str(finding) for finding in of_tree]
            continue
        counts = Counter(finding.kind for finding in of_tree)
        told = ", ".join(f"{count:,} {kind}" for kind, count in counts.items())
        some = "; ".join(str(finding) for finding in of_tree[:_EXAMPLES])
        lines.append(f"{visible(tree)}: {told}, such as {some}")
    return lines
