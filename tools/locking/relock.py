"""Makes the locks of generations: finds the stale ones, resolves their targets, and reports failures."""

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.filesize import decimal

from gens.catalog import Catalog
from gens.errors import LockError, ResolutionError
from gens.generation import Environment, Generation, Inputs, Target
from gens.lock import Lock, format_lock, parse_lock
from gens.progress import Bar
from gens.sums import Seal, make_seal
from tools.locking.batch import Outcome, resolve_all
from tools.locking.generation_tree import diff_locks, read_locks
from tools.locking.resolver import Resolution, Resolver, UnsatisfiableError, check_pythons, find_resolver
from tools.locking.table_check import absence_disagreement, cell_disagreements


@dataclass(frozen=True, slots=True)
class Work:
    """The work to do for one generation.

    Attributes:
        generation: The generation.
        current: Text of the existing locks, by path in the generation's folder.
        seal: Its seal; None if it has none or is reopened.
        stale: Targets to resolve.
    """

    generation: Generation
    current: Mapping[str, str]
    seal: Seal | None
    stale: tuple[Target, ...]

    @property
    def wanted(self) -> Iterator[Inputs]:
        """Inputs to resolve; none if no lock is stale: the table was checked when the locks were made."""
        if self.stale:
            yield from (target.inputs for target in self.stale)
            yield from self.generation.absences


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome for one generation.

    Attributes:
        work: The work.
        locks: Text of its locks by path, all of them unless there are failures.
        failures: The reasons why it has no locks; empty if it has them.
    """

    work: Work
    locks: Mapping[str, str] = field(default_factory=dict)
    failures: tuple[str, ...] = ()

    @property
    def seal(self) -> Seal:
        """The seal of these locks."""
        return make_seal(self.work.generation, self.locks)

    @property
    def difference(self) -> str:
        """Unified diff from the existing locks to these."""
        return "".join(diff_locks(self.work.generation.directory_name, self.work.current, self.locks))


def plan(catalog: Catalog, generation: Generation, seal: Seal | None, *, refresh: bool) -> Work:
    """Return the work to do for a generation.

    Args:
        catalog: Catalog with the existing locks.
        generation: The generation.
        seal: Its seal, or None.
        refresh: Whether to resolve targets whose locks are up to date as well.

    Returns:
        The work.
    """
    current = read_locks(catalog.locks_directory / generation.directory_name)
    found = make_seal(generation, current)

    def is_stale(target: Target) -> bool:
        name = target.lock_name
        if refresh or (seal is not None and seal.get(name) != found.get(name)):
            return True
        try:
            catalog.lock(generation, target)
        except LockError:
            return True
        return False

    return Work(generation, current, seal, tuple(filter(is_stale, generation.targets)))


def relock(works: Iterable[Work], jobs: int) -> list[Result]:
    """Resolve all stale targets, and make their locks.

    Args:
        works: The work, by generation.
        jobs: Number of resolutions at a time.

    Returns:
        The result of each, in the same order.

    Raises:
        ResolutionError: An index does not answer, or leaves out a digest or size.
        DefinitionError: uv cannot install a Python that a generation names.
    """
    works = list(works)
    names = _names(works)
    wanted = list(dict.fromkeys(inputs for work in works for inputs in work.wanted))
    if not wanted:
        return [Result(work, _locks(work, {})) for work in works]
    resolver = find_resolver()
    check_pythons(resolver, sorted({inputs.python for inputs in wanted}))
    with Bar("resolving", len(wanted)) as bar:

        def done(inputs: Inputs, outcome: Outcome) -> None:
            _tell(bar, len(wanted), _step(names, inputs, outcome))

        try:
            outcomes = resolve_all(resolver, wanted, jobs, done)
        except ResolutionError as error:
            raise ResolutionError(f"an index failed, and nothing was changed; uv says:\n{error}") from error
    return [_result(resolver, work, outcomes) for work in works]


def _result(resolver: Resolver, work: Work, outcomes: Mapping[Inputs, Outcome]) -> Result:
    directory = work.generation.directory_name
    failures, new_locks = [], {}
    for target in work.stale:
        outcome = outcomes[target.inputs]
        if isinstance(outcome, UnsatisfiableError):
            reason = textwrap.indent(str(outcome), "    ")
            failures.append(f"{directory}/{target.full_name} does not resolve; uv says:\n{reason}")
            continue
        if isinstance(target, Environment):
            failures += [
                f"{directory}/{target.full_name}: {message}; gens/releases.json is out of date: run "
                "`bazel run //tools:update_releases`"
                for message in cell_disagreements(target, outcome.wheels)
            ]
        new_locks[target.lock_name] = _lock(resolver, work.generation, target, outcome)
    if work.stale:
        messages = (absence_disagreement(absence, outcomes[absence]) for absence in work.generation.absences)
        failures += [f"{directory}: {message}" for message in messages if message is not None]
    return Result(work, failures=tuple(failures)) if failures else Result(work, _locks(work, new_locks))


def _locks(work: Work, new_locks: Mapping[str, Lock]) -> dict[str, str]:
    locks = {}
    for name in sorted(target.lock_name for target in work.generation.targets):
        current = work.current.get(name)
        # Keep a lock that differs only in the resolver's version.
        if name not in new_locks or (current is not None and _says_the_same(current, new_locks[name])):
            locks[name] = work.current[name]
        else:
            locks[name] = format_lock(new_locks[name])
    return locks


def _says_the_same(current: str, lock: Lock) -> bool:
    try:
        return replace(parse_lock(current, Path()), resolver=lock.resolver) == lock
    except LockError:
        return False


def _lock(resolver: Resolver, generation: Generation, target: Target, resolution: Resolution) -> Lock:
    index_url = target.inputs.index_url
    return Lock(
        generation_id=generation.id,
        kind=target.kind,
        target=target.name,
        inputs=target.inputs.digest,
        resolver=resolver.name,
        exclude_newer=target.inputs.exclude_newer,
        wheels=resolution.wheels,
        extra_index_urls=() if index_url is None else (index_url,),
    )


def _names(works: Iterable[Work]) -> dict[Inputs, list[str]]:
    """Return the names of the targets of each resolution: generations may share one."""
    names: dict[Inputs, list[str]] = {}
    for work in works:
        for target in work.stale:
            names.setdefault(target.inputs, []).append(f"{work.generation.directory_name}/{target.full_name}")
    return names


def _tell(bar: Bar, total: int, step: str) -> None:
    bar.advance(note=step)
    if not bar.on_terminal:
        bar.print(f"[{bar.done:{len(str(total))}}/{total}] {step}")


def _step(names: Mapping[Inputs, list[str]], inputs: Inputs, outcome: Outcome) -> str:
    if inputs not in names:
        found = "there" if isinstance(outcome, Resolution) else "absent"
        return f"{inputs.requirements[0]} for Python {inputs.python}: {found}"
    if isinstance(outcome, UnsatisfiableError):
        return f"{', '.join(names[inputs])}: does not resolve"
    size = decimal(sum(wheel.size_bytes for wheel in outcome.wheels))
    warnings = "".join(f"\n    {warning}" for warning in outcome.warnings)
    return f"{', '.join(names[inputs])}: {len(outcome.wheels)} wheels, {size}{warnings}"
