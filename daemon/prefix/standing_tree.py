"""Checks a tree that an earlier run published, before this one seals it: it may have been written to."""

from pathlib import Path

from daemon.errors import DamageError
from daemon.host.known_contents import KnownContents
from daemon.prefix.finding import Finding, count_differences
from daemon.prefix.prefix import Prefix
from daemon.prefix.tree_check import Digests, verify_tree


def check_tree(prefix: Prefix, tree: Path, label: str, known: KnownContents) -> None:
    """Compare an environment or toolkit with its manifest; what this run has read is not read again.

    Args:
        prefix: The prefix.
        tree: Its folder, or the link to it.
        label: What messages call it.
        known: What this run has read.

    Raises:
        DamageError: It differs, or a newer release has made it; the message says where.
    """
    findings: list[Finding] = []
    verify_tree(prefix, tree.resolve(), Digests(known.jobs, known.snapshot()), findings)
    if findings:
        raise DamageError(
            f"{label}: was published by an earlier install and has {count_differences(findings)} since, "
            f"such as {findings[0]}; run `verify --repair`, then install again"
        )
