"""Finds releases that a resolution falls back to for the sake of the base.

Metadata that forget a bound lead a resolver to releases of years ago, which fit every pin and do not work.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from packaging.version import Version

from gens.lock import LockedWheel
from tools.layer.base import Base
from tools.layer.question import Question
from tools.layer.request import Request
from tools.layer.resolution import Answer


def free_question(base: Base, question: Question, kept: Iterable[LockedWheel] = ()) -> Question:
    """Return a question without the pins of the base, but for some.

    Args:
        base: The base.
        question: The question.
        kept: Pins to keep.
    """
    pins = {f"{wheel.name}=={wheel.version}" for wheel in base.lock.wheels}
    pins -= {f"{wheel.name}=={wheel.version}" for wheel in kept}
    return replace(question, constraints=tuple(pin for pin in question.constraints if pin not in pins))


def older_packages(
    base: Base, answer: Answer, free: Mapping[str, str]
) -> Iterator[tuple[str, Version, Version]]:
    """Yield the packages beside the base that are older than they would be without its pins.

    Args:
        base: The base.
        answer: The solution with the pins of the base.
        free: The versions of the solution without them, by name.

    Yields:
        Name, version, and version without the pins.
    """
    for name, version in answer.versions.items():
        if name in base.wheels or name not in free or name in answer.local:
            continue
        with_pins, without = Version(version), Version(free[name])
        if with_pins < without:
            yield name, with_pins, without


def older_requirements(
    base: Base, request: Request, answer: Answer, free: Mapping[str, str]
) -> Iterator[tuple[str, Version, Version]]:
    """Yield the author's own requirements that fall back to an older major version.

    Args:
        base: The base.
        request: What is asked for.
        answer: The solution with the pins of the base.
        free: The versions of the solution without them, by name.

    Yields:
        Name, version, and version without the pins.
    """
    asked = {requirement.name for requirement in request.requirements}
    for name, with_pins, without in older_packages(base, answer, free):
        if name in asked and with_pins.release[:1] < without.release[:1]:
            yield name, with_pins, without
