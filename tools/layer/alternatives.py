"""Finds the environments that requirements fit, by trying: first those that are most like the base."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from gens.catalog import Catalog
from gens.errors import LockError
from gens.generation import Environment, Generation
from tools.layer.accelerator import second_accelerators
from tools.layer.base import Base, read_base
from tools.layer.errors import RequirementsError
from tools.layer.fallback import fallbacks, free_question
from tools.layer.question import Question, check_request, make_question
from tools.layer.resolution import ask, has_wheels_elsewhere
from tools.layer.solver import Solver
from tools.locking.resolver import UnsatisfiableError

_JOBS_FOR_EACH_CORE = 2
_LONGEST_S = 60
_MOST_SHOWN = 6


def alternative_lines(catalog: Catalog, solver: Solver, question: Question) -> Iterator[str]:
    """Try the other environments of the generation, then those of other generations, and say which fit.

    Args:
        catalog: All generations.
        solver: The solver that failed on its base.
        question: Its question.

    Yields:
        Lines.

    Raises:
        ResolutionError: An index does not answer.
    """
    base = solver.base
    deadline_s = time.monotonic() + _LONGEST_S
    machine = base.environment.inputs.machine
    others = [
        generation.for_machine(machine)
        for generation in reversed(catalog.generations)
        if generation.id != base.generation.id and machine in generation.machines
    ]
    tried, known = 0, 0
    for generation in (base.generation, *others):
        cells = _by_likeness(base, generation)
        known += len(cells)
        fitting, count = _fitting(catalog, solver, question, generation, cells, deadline_s)
        tried += count
        if fitting:
            more = f" and {len(fitting) - _MOST_SHOWN} more" if len(fitting) > _MOST_SHOWN else ""
            names = ", ".join(f"{cell.name}" for cell in fitting[:_MOST_SHOWN])
            yield f"they fit, of {generation.directory_name}: {names}{more} ({tried} environments tried)"
            return
    untried = f"; {known - tried} were not tried, as it took over {_LONGEST_S} s" if known > tried else ""
    yield f"no other environment fits ({tried} tried{untried})"


def _by_likeness(base: Base, generation: Generation) -> list[Environment]:
    """Return the other environments: those with the same Python or Torch first, those with stacks last."""
    mine = base.environment

    def distance(cell: Environment) -> tuple[bool, bool, bool, bool, str]:
        return (
            cell.stack is not None and cell.stack != mine.stack,
            (cell.torch is None) != (mine.torch is None),
            cell.torch != mine.torch and cell.python != mine.python,
            cell.python != mine.python,
            cell.name,
        )

    cells = [
        cell
        for cell in generation.environments
        if generation.id != base.generation.id or cell.name != mine.name
    ]
    return sorted(cells, key=distance)


def _fitting(
    catalog: Catalog,
    solver: Solver,
    question: Question,
    generation: Generation,
    cells: list[Environment],
    deadline_s: float,
) -> tuple[list[Environment], int]:
    def fits(cell: Environment) -> bool | None:
        if time.monotonic() > deadline_s:
            return None
        try:
            return _fits(solver, question, read_base(catalog, generation, cell))
        except (LockError, RequirementsError, UnsatisfiableError):
            return False

    with ThreadPoolExecutor(job_count()) as pool:
        found = list(pool.map(fits, cells))
    fitting = [cell for cell, fit in zip(cells, found, strict=True) if fit]
    return fitting, sum(fit is not None for fit in found)


def _fits(solver: Solver, question: Question, base: Base) -> bool:
    check_request(base, solver.request, ())
    other = make_question(
        base,
        solver.request,
        solver.wheels,
        max(question.exclude_newer, base.environment.inputs.exclude_newer),
        (),
        may_build=question.may_build,
    )
    answer = ask(solver.resolver, other)
    if any(
        has_wheels_elsewhere(solver.resolver, other, name, answer.versions[name]) for name in answer.sdists
    ):
        return False
    delta = [(name, version) for name, version in answer.versions.items() if not base.has(name, version)]
    if any(second_accelerators(base, delta)):
        return False
    free = ask(solver.resolver, free_question(base, other)).versions
    return not list(fallbacks(solver.resolver, base, solver.request, other, answer, free))


def job_count() -> int:
    """Return the number of resolutions at a time: each mostly waits for the index."""
    return _JOBS_FOR_EACH_CORE * (os.cpu_count() or 1)
