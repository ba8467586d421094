"""Prints findings: as a table, or as JSON."""

import json
import shutil
from collections.abc import Iterable, Mapping, Sequence
from textwrap import wrap

from .finding import Finding, has_problem

FORMAT = 1


def as_table(findings: Sequence[Finding], width: int | None = None) -> str:
    """Return findings as a table, with what to do below each.

    Args:
        findings: The findings.
        width: Columns of the terminal; None for those of this one.

    Returns:
        The table, with an end of line.
    """
    width = width or shutil.get_terminal_size((120, 24)).columns
    subjects = max(len(finding.subject) for finding in findings)
    margin = " " * (10 + subjects + 2)
    lines = []
    for finding in findings:
        start = f"{finding.state:<10}{finding.subject:<{subjects}}  "
        lines += _lines(finding.found, start, margin, width)
        for advice in finding.advice:
            lines += _lines(advice, f"{margin}- ", f"{margin}  ", width)
    counts = {state: sum(finding.state == state for finding in findings) for state in ("problem", "warning")}
    lines.append(", ".join(f"{count} {state}{'' if count == 1 else 's'}" for state, count in counts.items()))
    return "".join(f"{line}\n" for line in lines)


def _lines(text: str, start: str, margin: str, width: int) -> list[str]:
    shown = "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)
    return wrap(
        shown, max(width, len(margin) + 40), initial_indent=start, subsequent_indent=margin,
        break_long_words=False, break_on_hyphens=False, drop_whitespace=True,
    ) or [start.rstrip()]  # fmt: skip


def as_json(findings: Iterable[Finding], facts: Mapping[str, object]) -> str:
    """Return findings, and the facts that they come from, as one JSON object.

    Args:
        findings: The findings.
        facts: Facts by name.

    Returns:
        The text, with an end of line.
    """
    listed = list(findings)
    return (
        json.dumps(
            {
                "format": FORMAT,
                "ok": not has_problem(listed),
                "findings": [
                    {
                        "subject": finding.subject,
                        "state": finding.state,
                        "found": finding.found,
                        "advice": finding.advice,
                    }
                    for finding in listed
                ],
                **facts,
            },
            indent=1,
        )
        + "\n"
    )
