"""Look at every file of the active generations for damage, as cheaply as the time allows.

A *scan* compares each path, size, mode and link with the manifests, and reads only files whose time of
modification is later than that of the manifest: that finds whatever was written to, removed or added since. A
*full* scan reads everything, and finds what a failing disk changed as well.
"""

import os
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from daemon.manifest import MANIFEST_NAME
from daemon.prefix import Prefix
from daemon.verify import Digests, Finding, check_mark, verify_tree


class ScanInterruptedError(Exception):
    """The scan was told to stop."""


@dataclass(slots=True)
class _ChangedSince(Digests):
    """Reads only what was changed after a time, and holds the rest for sound.

    Attributes:
        made_ns: That time, in nanoseconds since the epoch.
    """

    made_ns: int = 0

    def digest(self, files: Iterable[tuple[str, os.stat_result]]) -> Iterator[tuple[str, str]]:
        """Give path and digest of each file that was changed."""
        changed = [(path, status) for path, status in files if status.st_mtime_ns > self.made_ns]
        return Digests.digest(self, changed)


def scan(
    prefix: Prefix, generation_names: Iterable[str], *, full: bool, jobs: int, stop: threading.Event
) -> dict[str, list[Finding]]:
    """Check what stands of some generations, sealed or not.

    Args:
        prefix: The prefix.
        generation_names: Names of generations, such as `g00003`.
        full: Whether everything is read.
        jobs: How many files are read at once.
        stop: Set when the scan should end early.

    Returns:
        The findings by name of the generation; a toolkit's stand at each generation that uses it.

    Raises:
        ScanInterruptedError: It was told to stop.
    """
    everything = Digests(jobs)
    by_tree: dict[Path, list[Finding]] = {}
    found: dict[str, list[Finding]] = {}
    for name in generation_names:
        if not prefix.generation(name).exists():
            continue
        findings: list[Finding] = []
        check_mark(prefix, name, findings)
        for entry in sorted(os.scandir(prefix.generation(name)), key=lambda entry: entry.name):
            if stop.is_set():
                raise ScanInterruptedError
            if not entry.is_dir():
                if entry.is_symlink():
                    findings.append(Finding(f"monobase/{name}", entry.name, "missing", "a broken link"))
                continue
            tree = Path(entry.path).resolve() if entry.is_symlink() else Path(entry.path)
            if tree not in by_tree:
                by_tree[tree] = []
                digests = everything if full else _ChangedSince(jobs, made_ns=_made_ns(tree))
                verify_tree(prefix, tree, digests, by_tree[tree])
            findings += by_tree[tree]
        if findings:
            found[name] = findings
    return found


def describe(findings: dict[str, list[Finding]]) -> list[str]:
    """Give a line for each distinct finding."""
    return list(dict.fromkeys(str(finding) for of_one in findings.values() for finding in of_one))


def _made_ns(tree: Path) -> int:
    try:
        return (tree / MANIFEST_NAME).stat().st_mtime_ns
    except FileNotFoundError:
        return 0
