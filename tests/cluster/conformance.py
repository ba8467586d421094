"""Runs the steps, and reports."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.cluster.kubectl import StepError
from tests.cluster.steps import Step, Subject, clean_up


@dataclass(frozen=True, slots=True)
class Result:
    """The result of a step.

    Attributes:
        name: Name of the step.
        verdict: `passed`, `failed`, or `not run` after a failure.
        seconds: How long it took.
        note: What was found.
    """

    name: str
    verdict: str
    seconds: float = 0.0
    note: str = ""


def run_steps(
    subject: Subject, steps: Sequence[Step], keep: bool, say: Callable[[str], None]
) -> list[Result]:
    """Run steps in order, and clean up after the last or the first that fails or is interrupted.

    Args:
        subject: What is tried.
        steps: The steps.
        keep: Whether to leave all as it is after a failure, to look at it.
        say: Called with the name of each step when it begins.

    Returns:
        The result of each step, then of the cleaning up.
    """
    results: list[Result] = []
    has_failed = False
    for step in steps:
        if has_failed:
            results.append(Result(_name(step), "not run"))
            continue
        say(_name(step))
        results.append(_run(step, subject))
        has_failed = results[-1].verdict == "failed"
    if not (has_failed and keep):
        results.append(_run(clean_up, subject))
    return results


def report(results: Sequence[Result]) -> str:
    """Return the results as a Markdown table."""
    lines = ["| step | verdict | seconds | found |", "|---|---|---|---|"]
    lines += [f"| {one.name} | {one.verdict} | {one.seconds:.0f} | {_cell(one.note)} |" for one in results]
    return "".join(f"{line}\n" for line in lines)


def _run(step: Step, subject: Subject) -> Result:
    began_s = time.monotonic()
    try:
        note, verdict = step(subject), "passed"
    except StepError as error:
        note, verdict = str(error), "failed"
    except KeyboardInterrupt:
        note, verdict = "interrupted", "failed"
    except Exception as error:  # a fault of the run itself: the cluster is cleaned up all the same
        note, verdict = f"internal error: {error!r}", "failed"
    return Result(_name(step), verdict, time.monotonic() - began_s, note)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")


def _name(step: Step) -> str:
    return getattr(step, "__name__", "step").replace("_", " ")
