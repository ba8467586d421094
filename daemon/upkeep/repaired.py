"""The paths that the repair of one tree has changed, and how they are reported."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from daemon.prefix.finding import Finding
from daemon.report.progress import Reporter, Value
from daemon.report.shown_text import visible

_NAMED = 3


@dataclass(slots=True)
class Repaired:
    """The paths that the repair of one tree has changed.

    Attributes:
        restored: Paths that were missing or damaged.
        removed: Paths that were extra.
    """

    restored: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)

    @staticmethod
    def of(findings: Iterable[Finding]) -> "Repaired":
        """Return what a repair of some findings has changed."""
        done = Repaired()
        for finding in findings:
            paths = done.removed if finding.kind == "extra" else done.restored
            paths.append(finding.path or "all of it")
        return done

    def report(self, tree: str, reporter: Reporter) -> None:
        """Report one line for what was restored, and one for what was removed."""
        for verb, paths in (("restored", self.restored), ("removed", self.removed)):
            if not paths:
                continue
            some = ", ".join(map(visible, paths[:_NAMED])) + (" and more" if len(paths) > _NAMED else "")
            count = f"{len(paths):,} files: " if len(paths) > 1 else ""
            facts: dict[str, Value] = {"tree": tree, "paths": paths} if reporter.log_format == "json" else {}
            reporter.info(f"{verb} {tree}: {count}{some}", **facts)
