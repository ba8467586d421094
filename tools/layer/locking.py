"""Makes a layer lock from an order: reads, solves, and writes the lock and the wheels that were built."""

import fcntl
import os
from collections.abc import Callable, Iterator, Set
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from gens.catalog import Catalog
from gens.errors import LockError
from layers.lock import (
    LayerLock,
    OtherFileError,
    content_digest,
    format_layer_lock,
    read_layer_lock,
    wheels_directory,
)
from tools.layer.base import Base, find_base, find_generation
from tools.layer.check import differences, inputs_digest
from tools.layer.credentials import without_credentials
from tools.layer.errors import OlderError, SecondAcceleratorError
from tools.layer.fallback import free_question
from tools.layer.order import Order, complete, format_time, index_names, read_request
from tools.layer.question import Wheels, applies, check_request, make_question, request_for
from tools.layer.request import Request, Source
from tools.layer.requirement_text import is_commit
from tools.layer.resolution import ask, ask_versions
from tools.layer.solution import Solution
from tools.layer.source_digest import file_digest, path_label
from tools.locking.resolver import UnsatisfiableError
from tools.locking.uv_program import Resolver, find_resolver, with_default_index

if TYPE_CHECKING:
    from tools.layer.build import Builder

_FIRST_MACHINE = "x86_64"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A lock that was made.

    Attributes:
        lock: The lock.
        base: Its base.
        is_unchanged: Whether it is the existing lock.
        shared: Names of packages that the requirements need and the base has.
        excluded: Requirements whose markers are false on the base.
        warnings: Warnings for the author.
    """

    lock: LayerLock
    base: Base
    is_unchanged: bool = False
    shared: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def make_lock(
    catalog: Catalog, order: Order, say: Callable[[str], None], find: Callable[[], Resolver] = find_resolver
) -> Outcome:
    """Make a lock, and write it with the wheels that were built.

    Args:
        catalog: All generations.
        order: What is asked for.
        say: Called with what is done.
        find: Returns the resolver of this machine.

    Returns:
        The lock.

    Raises:
        RequirementsError: A file is missing or malformed.
        DefinitionError: There is no such base.
        ConflictError: The requirements do not fit the base.
        BuildError: A wheel cannot be built.
        ResolutionError: An index did not answer.
        LockError: The lock cannot be written.
    """
    previous, warnings = _previous(order.output)
    order = complete(order, previous)
    base = order_base(catalog, order)
    request = request_for(base, read_request(order), order.overrides)
    check_request(base, request, order.overrides)
    excluded = tuple(one.text for one in request.requirements if not applies(one, base))
    if previous is not None and _is_current(previous, base, request, order):
        return Outcome(previous, base, is_unchanged=True, excluded=excluded, warnings=warnings)
    exclude_newer = _time_bound(order, previous)
    with TemporaryDirectory(prefix="monobase-layer-") as name:
        task = _Task(
            base=base,
            request=request,
            order=order,
            resolver=_resolver(find(), request),
            exclude_newer=exclude_newer,
            kept=None if order.upgrade else previous,
            folder=Path(name),
            say=say,
        )
        solution = _solution(catalog, task)
        lock = _lock(task, solution)
        write_lock(order.output, lock, solution)
    warnings = (*warnings, *solution.warnings, *_idle_upgrades(order, base, previous, lock))
    return Outcome(lock, base, shared=solution.shared, excluded=excluded, warnings=warnings)


def order_base(catalog: Catalog, order: Order) -> Base:
    """Return the base of a complete order.

    Raises:
        DefinitionError: There is none, or more than one fits.
        LockError: Its lock is missing or malformed.
    """
    generation = find_generation(catalog, order.generation_id, order.machine or _FIRST_MACHINE)
    return find_base(catalog, generation, order.environment or "")


def _previous(path: Path) -> tuple[LayerLock | None, tuple[str, ...]]:
    """Return the existing lock, and warnings: a damaged one is replaced, any other file is not."""
    if not path.exists() or (path.is_file() and path.stat().st_size == 0):
        return None, ()
    if not path.is_file() and not path.is_dir():  # a device or a pipe: to read it could take for ever
        raise LockError(f"{path}: is not a file; name a file for the lock with -o")
    try:
        return read_layer_lock(path), ()
    except OtherFileError as error:
        raise LockError(f"{error}; it is not overwritten: name another file with -o") from error
    except LockError as error:
        if not path.is_file():
            raise
        return None, (f"the existing lock is not used: {error}",)


def _is_current(previous: LayerLock, base: Base, request: Request, order: Order) -> bool:
    if order.upgrade or order.upgrade_packages:
        return False
    if order.exclude_newer not in (None, previous.exclude_newer):
        return False
    names = (previous.sources, previous.extras, previous.groups, previous.options)
    if names != (order.source_names, order.extras, order.groups, order.options):
        return False
    return not list(differences(previous, order.output, base, request, order))


def _idle_upgrades(order: Order, base: Base, previous: LayerLock | None, lock: LayerLock) -> Iterator[str]:
    """Yield a warning for each package to upgrade that neither the former lock nor the new one has."""
    known = {wheel.name for one in (previous, lock) if one is not None for wheel in one.wheels}
    for name in order.upgrade_packages:
        if name in known:
            continue
        if name in base.wheels:
            yield f"--upgrade-package {name}: {base.name} has it, at a version of its own; see --override"
        else:
            yield f"--upgrade-package {name}: the lock has no {name}; check the name, or leave the option out"


def _time_bound(order: Order, previous: LayerLock | None) -> str:
    if order.exclude_newer is not None:
        return order.exclude_newer
    if previous is not None and not order.upgrade and not order.upgrade_packages:
        return previous.exclude_newer
    return format_time(datetime.now(UTC))


def _resolver(resolver: Resolver, request: Request) -> Resolver:
    if request.index_url is not None:
        resolver = with_default_index(resolver, request.index_url)
    if not request.extra_index_urls:
        return resolver
    return replace(
        resolver, environment={**resolver.environment, "UV_INDEX": " ".join(request.extra_index_urls)}
    )


@dataclass(frozen=True, slots=True)
class _Task:
    """All that a solution is made from.

    Attributes:
        base: The base.
        request: What is asked for.
        order: The complete order.
        resolver: The uv to ask.
        exclude_newer: Time bound.
        kept: The existing lock, of which versions and wheels are kept, or None.
        folder: An empty folder, for the wheels.
        say: Called with what is done.
    """

    base: Base
    request: Request
    order: Order
    resolver: Resolver
    exclude_newer: str
    kept: LayerLock | None
    folder: Path
    say: Callable[[str], None]


def _solution(catalog: Catalog, task: _Task) -> Solution:
    wheels = _local_wheels(task)
    question = make_question(
        task.base,
        task.request,
        wheels,
        task.exclude_newer,
        task.order.overrides,
        preferred=() if task.kept is None else _preferred(task.kept, task.order),
        may_build=task.order.may_build,
    )
    with ThreadPoolExecutor(2) as pool:
        # Both at once: whether the base is the reason for an old release takes as long as the solution.
        answer = pool.submit(ask, task.resolver, question)
        free = pool.submit(ask_versions, task.resolver, free_question(task.base, question))
        # Imported while uv resolves.
        from tools.layer.solver import Solver  # noqa: PLC0415

        solver = Solver(
            task.resolver,
            _builder(task),
            task.base,
            task.request,
            wheels,
            task.order.overrides,
            dict(_known_sdists(task)),
        )
        try:
            return solver.solve(question, answer.result, free.result)
        except (UnsatisfiableError, SecondAcceleratorError, OlderError) as error:
            # What reads metadata over the network takes as long to import as all else.
            from tools.layer.conflict import explain  # noqa: PLC0415

            raise explain(catalog, solver, question, error) from error


def _builder(task: _Task) -> "Builder":
    from tools.layer.build import Builder  # noqa: PLC0415 (while uv resolves)

    inputs = task.base.environment.inputs
    return Builder(
        resolver=task.resolver,
        python=task.base.environment.python_full,
        platform=inputs.platform,
        exclude_newer=max(task.exclude_newer, inputs.exclude_newer),
        lock_folder=task.order.folder,
        folder=task.folder,
        say=task.say,
    )


def _local_wheels(task: _Task) -> Wheels:
    if not any(requirement.source for requirement in task.request.requirements):
        return Wheels()
    from tools.layer.local_wheels import make_wheels  # noqa: PLC0415 (as most models do without)

    return make_wheels(_builder(task), task.base, task.request, dict(_known_wheels(task)))


def _preferred(previous: LayerLock, order: Order) -> Iterator[tuple[str, str]]:
    for wheel in previous.wheels:
        if wheel.name not in order.upgrade_packages:
            yield wheel.name, wheel.version


def _known_wheels(task: _Task) -> Iterator[tuple[str, tuple[Path, str]]]:
    """Yield wheels of the existing lock whose sources are the same, by the text of their requirement."""
    known = () if task.kept is None else task.kept.requirements
    for label, path in _built_files(task):
        for requirement in task.request.requirements:
            source, is_same = requirement.source, requirement.text in known
            if source is not None and _is_source(source, label, task.order.folder, is_same):
                yield requirement.text, (path, label)


def _is_source(source: Source, label: str, folder: Path, is_same_requirement: bool) -> bool:
    if source.kind == "path":
        return path_label(Path(source.location), folder) == label
    shown = without_credentials(source.location)
    if source.kind == "url":
        return is_same_requirement and label.partition(" ")[0] == shown
    within = f"#subdirectory={source.subdirectory}" if source.subdirectory else ""
    if not label.startswith(f"git+{shown}@") or not label.endswith(within):
        return False
    commit = label.removeprefix(f"git+{shown}@").removesuffix(within)
    # A branch stays at its commit until --upgrade.
    return is_commit(commit) and (commit == source.revision or is_same_requirement)


def _known_sdists(task: _Task) -> Iterator[tuple[str, Path]]:
    yield from ((label, path) for label, path in _built_files(task) if "/" not in label)


def _built_files(task: _Task) -> Iterator[tuple[str, Path]]:
    """Yield source and file of each built wheel of the existing lock that is there and whole."""
    if task.kept is None:
        return
    wheels = {wheel.name: wheel for wheel in task.kept.wheels}
    for built in task.kept.built:
        wheel = wheels[built.name]
        path = wheels_directory(task.order.output) / wheel.filename
        is_kept = built.name not in task.order.upgrade_packages
        if is_kept and path.is_file() and file_digest(path) == wheel.sha256:
            yield built.source, path


def _lock(task: _Task, solution: Solution) -> LayerLock:
    base, request, order = task.base, task.request, task.order
    index_url, extra_index_urls = index_names(request)
    own = base.environment.inputs.index_url
    if solution.own_index and own is not None:
        extra_index_urls = tuple(dict.fromkeys((*extra_index_urls, own)))
    return LayerLock(
        generation_id=base.generation.id,
        environment=base.environment.name,
        base=base.digest,
        platform=base.environment.inputs.platform,
        inputs=inputs_digest(base, request, order.overrides, task.exclude_newer),
        resolver=task.resolver.name,
        exclude_newer=task.exclude_newer,
        wheels=solution.wheels,
        sources=order.source_names,
        extras=order.extras,
        groups=order.groups,
        options=order.options,
        requirements=tuple(one.text for one in request.requirements),
        constraints=tuple(one.text for one in request.constraints),
        allowed=order.overrides,
        overrides=solution.overrides,
        built=tuple(sorted(solution.built, key=lambda built: built.name)),
        index_url=index_url,
        extra_index_urls=extra_index_urls,
        content=content_digest(base.lock.wheels),
        python_full=base.environment.python_full,
    )


def write_lock(path: Path, lock: LayerLock, solution: Solution) -> None:
    """Write a lock and the wheels that were built for it.

    The wheels come first: an interruption leaves the old lock, and all that it names.

    Args:
        path: The file.
        lock: The lock.
        solution: The solution, which has the wheels.

    Raises:
        LockError: The folder cannot be written.
    """
    folder = wheels_directory(path)
    kept = {file.name for file in solution.files}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with _alone_in(path.parent):
            if kept:
                folder.mkdir(exist_ok=True)
            for file in solution.files:
                if file != folder / file.name:
                    _replace(folder / file.name, file.read_bytes())
            _replace(path, format_layer_lock(lock).encode())
            _remove_others(folder, kept)
    except OSError as error:
        where = "" if error.filename is None else f" ({error.filename})"
        raise LockError(f"{path}: cannot be written: {error.strerror}{where}") from error


@contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Write while no other process does: of two that make the same lock, the later one counts, as a whole."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _remove_others(folder: Path, kept: Set[str]) -> None:
    if not folder.is_dir():
        return
    for file in folder.glob("*.whl"):
        if file.name not in kept:
            file.unlink()
    if not any(folder.iterdir()):
        folder.rmdir()


def _replace(path: Path, content: bytes) -> None:
    staging = path.with_name(f".{path.name}.new")
    try:
        staging.write_bytes(content)
        staging.replace(path)
    finally:
        staging.unlink(missing_ok=True)  # on a full disk, what was written of it
