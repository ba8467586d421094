"""The report at the end of `verify`, and its exit code."""

import sys
from collections.abc import Mapping, Sequence

import click
from rich.filesize import decimal

from daemon.errors import DamageError, NewerFormatError
from daemon.prefix.finding import Finding, count_differences, summarize
from daemon.prefix.prefix import Prefix
from daemon.prefix.store_check import STRANGER
from daemon.prefix.toolkit_tree import is_without_toolkits
from daemon.report.progress import Reporter
from daemon.report.shown_text import json_document
from daemon.upkeep.verify import VerifyResult, needs_a_person
from gens.errors import MonobaseError


def check_names(prefix: Prefix, names: Sequence[str]) -> None:
    """Refuse generations that are not installed.

    Args:
        prefix: The prefix.
        names: The generations to check.

    Raises:
        DamageError: One of them is not installed, or none is.
    """
    installed = prefix.installed_generations()
    unknown = [name for name in names if name not in installed]
    if unknown:
        raise DamageError(
            f"{prefix.root}: has no {', '.join(unknown)} to verify; "
            f"it has {', '.join(installed) or 'no generation'}"
        )
    if not names and is_without_toolkits(prefix):  # an install that was ended may leave some
        raise DamageError(
            f"{prefix.root}: nothing is installed there to verify; name another --prefix, or install first"
        )


def end_verify(
    prefix: Prefix,
    names: Sequence[str],
    result: VerifyResult,
    failures: Mapping[str, MonobaseError] | None,
    reporter: Reporter,
    *,
    as_json: bool,
) -> None:
    """Print the findings: one line for each tree for people, everything for machines.

    Args:
        prefix: The prefix.
        names: The generations that were checked.
        result: The findings, after the repair if there was one.
        failures: Errors of the repair, by path; None if nothing was to be repaired.
        reporter: Receives messages.
        as_json: Whether a document is printed instead of lines.

    Raises:
        DamageError: There are differences.
    """
    if as_json:
        click.echo(_document(prefix, names, result, failures))
    if reporter.log_format == "json":
        for item in result.findings:
            reporter.error(str(item), tree=item.tree, path=item.path, kind=item.kind, detail=item.detail)
    elif not as_json:
        for line in summarize(result.findings):
            click.echo(line)
    damage = [finding for finding in result.findings if finding.kind != "newer"]
    if damage:
        if all(_is_left_to_a_person(finding) for finding in damage):
            hint = "no repair removes what no install made: move it away if nobody needs it"
        else:
            hint = "run `verify --repair`" if failures is None else "the rest could not be restored"
        raise DamageError(f"{prefix.root}: {count_differences(damage)} from what was sealed; {hint}")
    if result.findings:
        told = "; ".join(dict.fromkeys(finding.detail for finding in result.findings))
        reporter.error(f"{prefix.root}: could not be checked as a whole: {told}")
        sys.exit(NewerFormatError.exit_code)
    reporter.info(
        f"verified {', '.join(names)}: {result.trees} environments and toolkits, "
        f"{result.interpreters} interpreters, {result.files:,} files, "
        f"{decimal(result.read_bytes)} read; no difference"
    )


def _document(
    prefix: Prefix,
    names: Sequence[str],
    result: VerifyResult,
    failures: Mapping[str, MonobaseError] | None,
) -> str:
    document = {
        "prefix": str(prefix.root),
        "generations": list(names),
        "trees": result.trees,
        "interpreters": result.interpreters,
        "files": result.files,
        "read_bytes": result.read_bytes,
        "findings": result.findings,
        "failures": {path: str(error) for path, error in (failures or {}).items()},
    }
    return json_document(document).decode()


def _is_left_to_a_person(finding: Finding) -> bool:
    return needs_a_person(finding) or finding.detail.endswith(STRANGER)
