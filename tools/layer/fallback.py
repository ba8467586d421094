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
from tools.layer.resolution import Answer, has_wheel
from tools.locking.uv_program import Resolver


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


def fallbacks(
    resolver: Resolver,
    base: Base,
    request: Request,
    question: Question,
    answer: Answer,
    free: Mapping[str, str],
) -> Iterator[str]:
    """Yield the releases of a solution that hardly work, and that the base is the reason for.

    They are the author's own requirements in a release of another age: of an older major version, or of a
    version 0 whose minor is less than half as high. And they are releases without a wheel of packages that
    have one without the pins of the base.

    Args:
        resolver: The uv to ask for wheels.
        base: The base.
        request: What is asked for.
        question: The question of the solution.
        answer: The solution with the pins of the base.
        free: The versions of the solution without them, by name.

    Yields:
        Lines for the author.
    """
    asked = {requirement.name for requirement in request.requirements}
    for name, old, new in older_packages(base, answer, free):
        advice = f"if that is what you want, write {name}=={old}"
        if name in asked and _is_of_another_age(old, new):
            yield f"{name} would be {old}, not {new}; {advice}"
        elif name in answer.sdists and has_wheel(resolver, question, name, str(new)):
            yield f"{name} would be {old}, which has no wheel, not {new}; {advice}"


def _is_of_another_age(old: Version, new: Version) -> bool:
    if old.major == new.major == 0:
        return old.minor * 2 < new.minor
    return old.major < new.major
