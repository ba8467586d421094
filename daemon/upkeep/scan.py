"""Look at every file of the active generations for damage, as cheaply as the time allows.

A *scan* compares each path, size, mode, owner and link with the manifests, and reads only files whose time of
modification is later than that of the manifest: that finds whatever was written to, removed or added since. A
*full* scan reads everything, and finds what a failing disk changed as well; it looks into the stores, too.
"""

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from daemon.prefix.finding import Finding, summarize
from daemon.prefix.prefix import Prefix
from daemon.prefix.store_check import check_stores
from daemon.prefix.tree_check import Digests
from daemon.upkeep.verify import Checker, needs_a_person


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
    prefix: Prefix,
    generation_names: Iterable[str],
    *,
    full: bool,
    jobs: int,
    stop: threading.Event,
    warn: Callable[[str], None] = lambda _: None,
) -> dict[str, list[Finding]]:
    """Check what stands of some generations, sealed or not.

    Args:
        prefix: The prefix.
        generation_names: Names of generations, such as `g00003`.
        full: Whether everything is read, and the stores are looked into.
        jobs: How many files are read at once.
        stop: Set when the scan should end early.
        warn: Told what only a person can put right, and what is wrong in the stores: no model is worse off.

    Returns:
        The findings by name of the generation; those of a toolkit or interpreter stand at each generation
        that uses it.

    Raises:
        ScanInterruptedError: It was told to stop.
    """
    everything = Digests(jobs)

    def digests_of(manifest: Path) -> Digests:
        return everything if full else _ChangedSince(jobs, made_ns=_made_ns(manifest))

    def each(_label: str) -> None:
        if stop.is_set():
            raise ScanInterruptedError

    checker = Checker(prefix, digests_of, each)
    found: dict[str, list[Finding]] = {}
    beside: list[Finding] = []
    for name in generation_names:
        each(name)
        findings = checker.generation(name)
        beside += [finding for finding in findings if needs_a_person(finding)]
        damage = list(dict.fromkeys(finding for finding in findings if not needs_a_person(finding)))
        if damage:
            found[name] = damage
    if full:
        check_stores(prefix, beside)
    for line in summarize(beside):
        warn(line)
    return found


def describe(findings: dict[str, list[Finding]]) -> list[str]:
    """Give a line for each distinct finding."""
    return list(dict.fromkeys(str(finding) for of_one in findings.values() for finding in of_one))


def _made_ns(manifest: Path) -> int:
    try:
        return manifest.stat().st_mtime_ns
    except OSError:
        return 0
