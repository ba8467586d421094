"""Makes the locks of generations: finds the stale ones, resolves their targets, and reports failures."""

import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path

from rich.filesize import decimal

from gens.catalog import Catalog
from gens.errors import LockError, ResolutionError
from gens.generation import Environment, Generation, Inputs, Target
from gens.lock import Lock, LockedWheel, format_lock, parse_lock
from gens.progress import Bar
from gens.sums import Seal, make_seal
from tools.locking.base_pins import resolve_on_base
from tools.locking.batch import Outcome, resolve_all
from tools.locking.generation_tree import diff_locks, read_locks
from tools.locking.resolver import (
    Resolution,
    UnsatisfiableError,
    check_pythons,
    resolve,
)
from tools.locking.table_check import absence_disagreement, cell_disagreements
from tools.locking.uv_program import Resolver, find_resolver


@dataclass(frozen=True, slots=True)
class Work:
    """The work to do for one generation.

    Attributes:
        generation: The generation.
        current: Text of the existing locks, by path in the generation's folder.
        seal: Its seal; None if it has none or is reopened.
        stale: Targets to resolve.
        bases: Wheels of up-to-date environments that stale stacks build on, by inputs.
    """

    generation: Generation
    current: Mapping[str, str]
    seal: Seal | None
    stale: tuple[Target, ...]
    bases: Mapping[Inputs, tuple[LockedWheel, ...]] = field(default_factory=dict)

    @property
    def wanted(self) -> Iterator[Inputs]:
        """Inputs to resolve first; none if no lock is stale: the table was checked with them."""
        if self.stale:
            yield from (target.inputs for target in self.stale if target.inputs.base is None)
            yield from self.generation.absences

    @property
    def on_bases(self) -> Iterator[Inputs]:
        """Inputs of stacks, to resolve when their bases are."""
        yield from (target.inputs for target in self.stale if target.inputs.base is not None)


@dataclass(frozen=True, slots=True)
class Result:
    """The outcome for one generation.

    Attributes:
        work: The work.
        locks: Text of its locks by path, all of them unless there are failures.
        failures: The reasons why it has no locks; empty if it has them.
        failed_stacks: The reasons why stacks of it have no locks. The others have theirs.
    """

    work: Work
    locks: Mapping[str, str] = field(default_factory=dict)
    failures: tuple[str, ...] = ()
    failed_stacks: tuple[str, ...] = ()

    @property
    def is_complete(self) -> bool:
        """True if no lock of the generation is missing."""
        return not self.failures and not self.failed_stacks

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

    @cache
    def is_stale(inputs: Inputs) -> bool:
        return any(map(is_stale_target, targets.get(inputs, ())))

    def is_stale_target(target: Target) -> bool:
        name = target.lock_name
        if target.inputs.base is not None and is_stale(target.inputs.base):
            return True
        if refresh or (seal is not None and seal.get(name) != found.get(name)):
            return True
        try:
            catalog.lock(generation, target)
        except LockError:
            return True
        return False

    targets: dict[Inputs, list[Target]] = {}
    for target in generation.targets:
        targets.setdefault(target.inputs, []).append(target)
    stale = tuple(filter(is_stale_target, generation.targets))
    wanted = {base for target in stale if (base := target.inputs.base) is not None and not is_stale(base)}
    bases = {base: catalog.lock(generation, targets[base][0]).wheels for base in wanted if base in targets}
    return Work(generation, current, seal, stale, bases)


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
    first = dict.fromkeys(inputs for work in works for inputs in work.wanted)
    stacks = list(dict.fromkeys(inputs for work in works for inputs in work.on_bases))
    known = {inputs: Resolution(wheels, ()) for work in works for inputs, wheels in work.bases.items()}
    first |= dict.fromkeys(base for stack in stacks if (base := stack.base) is not None and base not in known)
    if not first and not stacks:
        return [Result(work, _locks(work, work.current, {})) for work in works]
    resolver = find_resolver()
    check_pythons(resolver, sorted({inputs.python for inputs in (*first, *stacks)}))
    resolve_one = partial(resolve, resolver)
    names = _names(works)
    with Bar("resolving", len(first) + len(stacks)) as bar:

        def done(inputs: Inputs, outcome: Outcome) -> None:
            _tell(bar, len(first) + len(stacks), _step(names, inputs, outcome))

        try:
            outcomes: dict[Inputs, Outcome] = resolve_all(resolve_one, first, jobs, done) if first else {}
            if stacks:
                resolve_stack = partial(_resolve_stack, resolve_one, {**known, **outcomes})
                outcomes |= resolve_all(resolve_stack, stacks, jobs, done)
        except ResolutionError as error:
            raise ResolutionError(f"an index failed, and nothing was changed; uv says:\n{error}") from error
    return [_result(resolver, work, outcomes) for work in works]


def _resolve_stack(
    resolve_one: Callable[[Inputs], Resolution], bases: Mapping[Inputs, Outcome], inputs: Inputs
) -> Resolution:
    base = bases[inputs.base] if inputs.base is not None else None
    if not isinstance(base, Resolution):
        raise UnsatisfiableError(f"the environment that it builds on does not resolve:\n{base}")
    return resolve_on_base(resolve_one, inputs, base.wheels)


def _result(resolver: Resolver, work: Work, outcomes: Mapping[Inputs, Outcome]) -> Result:
    directory = work.generation.directory_name
    failures: dict[bool, list[str]] = {True: [], False: []}  # whether of a stack
    new_locks = {}
    for target in work.stale:
        outcome = outcomes[target.inputs]
        failed = failures[isinstance(target, Environment) and target.stack is not None]
        if isinstance(outcome, UnsatisfiableError):
            reason = textwrap.indent(str(outcome), "    ")
            failed.append(f"{directory}/{target.full_name} does not resolve; uv says:\n{reason}")
            continue
        if isinstance(target, Environment):
            disagreements = [
                f"{directory}/{target.full_name}: {message}; {_remedy(target)}"
                for message in cell_disagreements(target, outcome.wheels)
            ]
            failed += disagreements
            if disagreements:
                continue
        new_locks[target.lock_name] = _lock(resolver, work.generation, target, outcome)
    if work.stale:
        messages = (absence_disagreement(absence, outcomes[absence]) for absence in work.generation.absences)
        failures[False] += [f"{directory}: {message}" for message in messages if message is not None]
    failed_names = {target.lock_name for target in work.stale} - new_locks.keys()
    # The old lock of a stack that fails may be of another base.
    kept = {name: text for name, text in work.current.items() if name not in failed_names}
    locks = {} if failures[False] else _locks(work, kept, new_locks)
    return Result(work, locks, tuple(failures[False]), tuple(failures[True]))


def _remedy(environment: Environment) -> str:
    if environment.stack is not None:
        return "correct its pins in gens/prod.bzl"
    return "gens/releases.json is out of date: run `bazel run //tools:update_releases`"


def _locks(work: Work, kept: Mapping[str, str], new_locks: Mapping[str, Lock]) -> dict[str, str]:
    locks = {}
    for name in sorted(target.lock_name for target in work.generation.targets):
        current = kept.get(name)
        new = new_locks.get(name)
        # Keep a lock that differs only in the resolver's version.
        if new is not None and (current is None or not _says_the_same(current, new)):
            locks[name] = format_lock(new)
        elif current is not None:
            locks[name] = current
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
        base=_base_name(generation, target.inputs),
        conflicts=tuple(f"{wheel.name}=={wheel.version}" for wheel in resolution.conflicts),
    )


def _base_name(generation: Generation, inputs: Inputs) -> str | None:
    names = [cell.name for cell in generation.environments if cell.inputs == inputs.base]
    return names[0] if names else None


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
    if outcome.conflicts:
        pins = ", ".join(f"{wheel.name} {wheel.version}" for wheel in outcome.conflicts)
        size += f", without its base's {pins}"
    warnings = "".join(f"\n    {warning}" for warning in outcome.warnings)
    return f"{', '.join(names[inputs])}: {len(outcome.wheels)} wheels, {size}{warnings}"
