"""Checks each file of some generations for damage, without reading what was not modified.

A *scan* compares each path, size, mode, owner and link with the manifests. It reads only the files whose time
of modification is later than that of the manifest, and so finds what was written, removed or added since. A
*full* scan reads everything, so it also finds what a failing disk changed; it checks the stores as well.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from daemon.prefix.finding import Finding, summarize
from daemon.prefix.prefix import Prefix
from daemon.prefix.record_memory import RecordMemory
from daemon.prefix.store_check import check_stores
from daemon.prefix.tree_check import Digests
from daemon.upkeep.verify import Checker, needs_a_person


class ScanInterruptedError(Exception):
    """The scan was stopped before its end."""


@dataclass(slots=True)
class _ChangedSince(Digests):
    """The digests of the files that were modified after a time; the others count as undamaged.

    Attributes:
        made_ns: That time, in nanoseconds since the epoch.
    """

    made_ns: int = 0

    def digest(self, files: Iterable[tuple[str, os.stat_result]]) -> Iterator[tuple[str, str]]:
        """Yield the path and the digest of each file that was modified."""
        changed = [(path, status) for path, status in files if status.st_mtime_ns > self.made_ns]
        return Digests.digest(self, changed)


def scan(
    prefix: Prefix,
    generation_names: Iterable[str],
    *,
    full: bool,
    jobs: int,
    stop: Callable[[], bool],
    warn: Callable[[str], None] = lambda _: None,
) -> dict[str, list[Finding]]:
    """Check some generations, sealed or partial.

    Args:
        prefix: The prefix.
        generation_names: Names of generations, such as `g00003`.
        full: Whether to read everything, and to check the stores.
        jobs: Number of files to read at once.
        stop: Whether to end the scan early.
        warn: Called with each finding that affects no model: those in the stores, and folders that no install
            made.

    Returns:
        The findings by name of the generation; those of a toolkit or interpreter are listed with each
        generation that uses it.

    Raises:
        ScanInterruptedError: `stop` said so.
    """
    everything = Digests(jobs)
    records = RecordMemory()

    def digests_of(manifest: Path) -> Digests:
        return everything if full else _ChangedSince(jobs, records=records, made_ns=_made_ns(manifest))

    def each(_label: str) -> None:
        if stop():
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
    """Return a line for each distinct finding."""
    return list(dict.fromkeys(str(finding) for items in findings.values() for finding in items))


def _made_ns(manifest: Path) -> int:
    try:
        return manifest.stat().st_mtime_ns
    except OSError:
        return 0
