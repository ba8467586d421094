"""One thing that the doctor looked at."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "note", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that the doctor looked at.

    Attributes:
        subject: What it is about: `driver`, `gpu 0`, `home`.
        state: `problem` where a model will not run; `warning` where it will run badly; `note` for what is
            worth knowing; `ok`.
        found: What was found, with the values.
        advice: What to do, in order; empty for nothing.
    """

    subject: str
    state: State
    found: str
    advice: tuple[str, ...] = ()


def has_problem(findings: Iterable[Finding]) -> bool:
    """Return whether one of the findings keeps a model from running."""
    return any(finding.state == "problem" for finding in findings)
