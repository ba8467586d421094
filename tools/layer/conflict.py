"""Tells a conflict in the author's terms: who wants what, which pin is in the way, what would fit."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from packaging.requirements import Requirement as Pep508

from gens.catalog import Catalog
from gens.lock import LockedWheel
from tools.layer.alternatives import alternative_lines, job_count
from tools.layer.errors import ConflictError, OlderError, SecondAcceleratorError
from tools.layer.fallback import fallbacks, free_question
from tools.layer.metadata import Wish, read_wishes
from tools.layer.question import Question, marker_environment
from tools.layer.request import Request, Requirement
from tools.layer.resolution import Answer, ask, ask_parents
from tools.layer.solver import Solver
from tools.layer.unknown_names import unknown_lines
from tools.locking.resolver import UnsatisfiableError

_MOST_SHOWN = 6


def explain(
    catalog: Catalog,
    solver: Solver,
    question: Question,
    error: UnsatisfiableError | SecondAcceleratorError | OlderError,
) -> ConflictError:
    """Return the conflict of a question in the author's terms, with what would fit.

    Args:
        catalog: All generations, of which the environments are tried.
        solver: The solver that failed.
        question: Its question.
        error: Its failure.

    Returns:
        The error to show.

    Raises:
        ResolutionError: An index does not answer.
    """
    reason: Exception = error
    free: Answer | None = None
    if not isinstance(error, SecondAcceleratorError):
        try:
            free = ask(solver.resolver, free_question(solver.base, question))
        except UnsatisfiableError as own:
            reason = own
    unknown = list(unknown_lines(catalog, solver.base, solver.request, question, str(reason)))
    if unknown:
        # No environment has to be tried for a package that exists nowhere.
        return ConflictError("\n".join(unknown))
    lines = [f"the requirements do not fit {solver.base.name}"]
    if isinstance(error, SecondAcceleratorError):
        lines += _accelerator_lines(solver, question, error)
    elif free is None:
        lines += ["they have no solution, whatever the base has; uv says:", *_indented(_plain(str(reason)))]
    else:
        lines += _pin_lines(solver, question, error, free)
    lines += alternative_lines(catalog, solver, question)
    return ConflictError("\n".join(lines))


def _pin_lines(
    solver: Solver, question: Question, error: UnsatisfiableError | OlderError, free: Answer
) -> Iterator[str]:
    dropped, answer = _smallest(solver, question, free)
    reasons = _Reasons.of(solver, _without(solver, question, dropped), answer, [one.name for one in dropped])
    names = [wheel.name for wheel in dropped]
    told = False
    for wheel in dropped:
        lines = list(reasons.against(wheel, within=names))
        if lines:
            told = True
            yield f"  {wheel.name}: the base has {wheel.version}"
            yield from lines
    if isinstance(error, OlderError):
        yield from (f"  {line}" for line in str(error).splitlines())
    elif not told:
        yield "uv says:"
        yield from _indented(_plain(str(error)))
    yield from _override_lines(solver, answer, names)


def _override_lines(solver: Solver, answer: Answer, names: Sequence[str]) -> Iterator[str]:
    """Yield the options that bring other versions than the base has, if these have wheels."""
    inputs = solver.base.environment.inputs
    target = f"Python {solver.base.environment.python} on {inputs.machine}"
    without_wheels = [f"{name} {answer.sdists[name][0]}" for name in names if name in answer.sdists]
    if without_wheels:
        yield (
            f"{', '.join(without_wheels)} has no wheel for {target}, and a layer is made of wheels: ask for "
            "a version that has one, or name an environment with the Python that it was made for"
        )
    elif names:
        versions = ", ".join(f"{name} {answer.versions[name]}" for name in names if name in answer.versions)
        yield f"to have {versions or 'others'} in the layer, on purpose: {_options(names)}"


def _smallest(solver: Solver, question: Question, free: Answer) -> tuple[list[LockedWheel], Answer]:
    """Return the pins that are in the way, only one if one is enough, and the solution without them."""
    candidates = [
        wheel
        for wheel in solver.base.lock.wheels
        if wheel.name in free.versions
        and not solver.base.has(wheel.name, free.versions[wheel.name])
        and f"{wheel.name}=={wheel.version}" in question.constraints
    ]

    def attempt(dropped: list[LockedWheel]) -> Answer | None:
        other = _without(solver, question, dropped)
        try:
            found = ask(solver.resolver, other)
        except UnsatisfiableError:
            return None
        old = fallbacks(solver.resolver, solver.base, solver.request, other, found, free.versions)
        return None if list(old) else found

    with ThreadPoolExecutor(job_count()) as pool:
        alone = list(pool.map(lambda one: attempt([one]), candidates))
    for wheel, answer in zip(candidates, alone, strict=True):
        if answer is not None:
            return [wheel], answer
    dropped, smallest = candidates, free
    # Pins of large wheels are kept before those of small ones.
    for wheel in sorted(candidates, key=lambda one: -one.size_bytes):
        fewer = [one for one in dropped if one != wheel]
        found = attempt(fewer)
        if found is not None:
            dropped, smallest = fewer, found
    return dropped, smallest


def _without(solver: Solver, question: Question, dropped: Iterable[LockedWheel]) -> Question:
    """Return a question without some pins of the base."""
    names = {wheel.name for wheel in dropped}
    return free_question(
        solver.base, question, [wheel for wheel in solver.base.lock.wheels if wheel.name not in names]
    )


@dataclass(frozen=True, slots=True)
class _Reasons:
    """Why a solution has some packages.

    Attributes:
        request: What the author asks for.
        parents: By name of a package: those that require it.
        wishes: Requirements of the packages that require them.
    """

    request: Request
    parents: Mapping[str, tuple[str, ...]]
    wishes: list[Wish]

    @classmethod
    def of(cls, solver: Solver, question: Question, answer: Answer, names: Iterable[str]) -> "_Reasons":
        """Read why a solution has some packages.

        Args:
            solver: The solver.
            question: The question of the solution.
            answer: The solution.
            names: Names of the packages.
        """
        parents = ask_parents(solver.resolver, question)
        readable = dict.fromkeys(
            parent for name in names for parent in parents.get(name, ()) if parent in answer.versions
        )
        found = read_wishes(answer, readable, marker_environment(solver.base))
        return cls(solver.request, parents, found)

    def against(self, wheel: LockedWheel, within: Iterable[str]) -> Iterator[str]:
        """Yield who wants another version than a wheel of the base.

        Args:
            wheel: The wheel.
            within: Names of packages whose own wishes follow from their version.
        """
        for one in (*self.request.requirements, *self.request.constraints):
            if one.name == wheel.name and not _admits(one, wheel.version):
                yield f"    {one.place} asks for {one.shown}"
        for wish in self.wishes:
            bound = wish.requirement.specifier
            if (
                wish.wanted == wheel.name
                and wish.name not in within
                and not bound.contains(wheel.version, True)
            ):
                yield f"    {self._said(wish)}"

    def wanting(self, name: str) -> Iterator[str]:
        """Yield who wants a package."""
        for one in self.request.requirements:
            if one.name == name:
                yield f"    {one.place} asks for {one.shown}"
        for wish in self.wishes:
            if wish.wanted == name:
                yield f"    {self._said(wish)}"

    def _said(self, wish: Wish) -> str:
        chain = " → ".join((*self._chain(wish.name), f"{wish.name} {wish.version}"))
        return f"{chain} requires {wish.requirement.name}{wish.requirement.specifier}"

    def _chain(self, name: str) -> list[str]:
        """Return the packages through which the author's requirements lead to a package, in order."""
        asked = {requirement.name for requirement in self.request.requirements}
        came_from: dict[str, str | None] = {name: None}
        waiting = [name]
        while waiting:
            child = waiting.pop(0)
            if child in asked:
                chain = []
                step: str | None = child
                while step is not None and step != name:
                    chain.append(step)
                    step = came_from[step]
                return chain
            for parent in self.parents.get(child, ()):
                if parent not in came_from:
                    came_from[parent] = child
                    waiting.append(parent)
        return []


def _admits(requirement: Requirement, version: str) -> bool:
    if requirement.source is not None:
        return False
    return Pep508(requirement.pep508).specifier.contains(version, prereleases=True)


def _accelerator_lines(solver: Solver, question: Question, error: SecondAcceleratorError) -> Iterator[str]:
    reasons = _Reasons.of(solver, question, ask(solver.resolver, question), error.found)
    for name, (version, why) in error.found.items():
        yield f"  {name} {version} would be a second Torch or CUDA: {why}"
        yield from list(reasons.wanting(name))[:_MOST_SHOWN]
    yield f"to have them in the layer, on purpose: {_options(error.found)}"


def _options(names: Iterable[str]) -> str:
    return " ".join(f"--override {name}" for name in names)


def _plain(message: str) -> str:
    """Return uv's words without its own project's name."""
    text = (message.partition("error: No solution found when resolving dependencies")[2] or message).strip()
    text = re.sub(r"monobase depends on|monobase==0 depends on", "you require", text)
    return text.removeprefix("cause: ")


def _indented(text: str) -> Iterator[str]:
    return (f"    {line.strip()}" for line in text.splitlines() if line.strip())
