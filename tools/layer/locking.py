"""Makes a layer lock from an order: reads, solves, and writes the lock and the wheels that were built."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from gens.catalog import Catalog
from gens.errors import LockError
from layers.lock import LayerLock, content_digest, format_layer_lock, read_layer_lock, wheels_directory
from tools.layer.base import Base, find_base, find_generation
from tools.layer.build import Builder, path_label
from tools.layer.check import differences, inputs_digest
from tools.layer.fallback import OlderError
from tools.layer.order import Order, complete, format_time, index_names, read_request
from tools.layer.request import Request, Source, without_credentials
from tools.layer.requirement_text import is_commit
from tools.layer.solver import (
    SecondAcceleratorError,
    Solution,
    Solver,
    check_request,
    make_question,
    make_wheels,
    request_for,
)
from tools.layer.wheel_file import file_digest
from tools.locking.resolver import Resolver, UnsatisfiableError, find_resolver

_FIRST_MACHINE = "x86_64"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A lock that was made.

    Attributes:
        lock: The lock.
        base: Its base.
        is_unchanged: Whether it is the existing lock.
        shared: Names of packages that the requirements need and the base has.
        warnings: Warnings for the author.
    """

    lock: LayerLock
    base: Base
    is_unchanged: bool = False
    shared: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def make_lock(catalog: Catalog, order: Order, say: Callable[[str], None]) -> Outcome:
    """Make a lock, and write it with the wheels that were built.

    Args:
        catalog: All generations.
        order: What is asked for.
        say: Called with what is done.

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
    if previous is not None and _is_current(previous, base, request, order):
        return Outcome(previous, base, is_unchanged=True, warnings=warnings)
    exclude_newer = _time_bound(order, previous)
    with TemporaryDirectory(prefix="monobase-layer-") as name:
        builder = Builder(
            resolver=_resolver(request),
            python=base.environment.python_full,
            platform=base.environment.inputs.platform,
            exclude_newer=max(exclude_newer, base.environment.inputs.exclude_newer),
            lock_folder=order.folder,
            folder=Path(name),
            say=say,
        )
        solution = _solution(catalog, builder, base, request, order, previous, exclude_newer)
        lock = _lock(builder, base, request, order, solution, exclude_newer)
        _write(order.output, lock, solution)
    return Outcome(lock, base, shared=solution.shared, warnings=(*warnings, *solution.warnings))


def order_base(catalog: Catalog, order: Order) -> Base:
    """Return the base of a complete order.

    Raises:
        DefinitionError: There is none, or more than one fits.
        LockError: Its lock is missing or malformed.
    """
    generation = find_generation(catalog, order.generation_id, order.machine or _FIRST_MACHINE)
    return find_base(catalog, generation, order.environment or "")


def _previous(path: Path) -> tuple[LayerLock | None, tuple[str, ...]]:
    if not path.exists():
        return None, ()
    try:
        return read_layer_lock(path), ()
    except LockError as error:
        return None, (f"the existing lock is not used: {error}",)


def _is_current(previous: LayerLock, base: Base, request: Request, order: Order) -> bool:
    if order.upgrade or order.upgrade_packages:
        return False
    if order.exclude_newer not in (None, previous.exclude_newer):
        return False
    names = (previous.sources, previous.extras, previous.groups)
    if names != (order.source_names, order.extras, order.groups):
        return False
    return not list(differences(previous, order.output, base, request, order))


def _time_bound(order: Order, previous: LayerLock | None) -> str:
    if order.exclude_newer is not None:
        return order.exclude_newer
    if previous is not None and not order.upgrade and not order.upgrade_packages:
        return previous.exclude_newer
    return format_time(datetime.now(UTC))


def _resolver(request: Request) -> Resolver:
    environment = dict(os.environ)
    if request.index_url is not None:
        environment["UV_DEFAULT_INDEX"] = request.index_url
    resolver = find_resolver(environment)
    if not request.extra_index_urls:
        return resolver
    return replace(
        resolver, environment={**resolver.environment, "UV_INDEX": " ".join(request.extra_index_urls)}
    )


def _solution(
    catalog: Catalog,
    builder: Builder,
    base: Base,
    request: Request,
    order: Order,
    previous: LayerLock | None,
    exclude_newer: str,
) -> Solution:
    kept = None if order.upgrade else previous
    wheels = make_wheels(builder, base, request, dict(_known_wheels(kept, order, request)))
    question = make_question(
        base,
        request,
        wheels,
        exclude_newer,
        order.overrides,
        preferred=() if kept is None else _preferred(kept, order),
        may_build=order.may_build,
    )
    solver = Solver(
        builder.resolver, builder, base, request, wheels, order.overrides, dict(_known_sdists(kept, order))
    )
    try:
        return solver.solve(question)
    except (UnsatisfiableError, SecondAcceleratorError, OlderError) as error:
        # Imported here, as what reads metadata over the network takes as long to import as all else.
        from tools.layer.conflict import explain  # noqa: PLC0415

        raise explain(catalog, solver, question, error) from error


def _preferred(previous: LayerLock, order: Order) -> Iterator[tuple[str, str]]:
    for wheel in previous.wheels:
        if wheel.name not in order.upgrade_packages:
            yield wheel.name, wheel.version


def _known_wheels(
    previous: LayerLock | None, order: Order, request: Request
) -> Iterator[tuple[str, tuple[Path, str]]]:
    """Yield wheels of the existing lock whose sources are the same, by the text of their requirement."""
    for label, path in _built_files(previous, order):
        for requirement in request.requirements:
            if requirement.source is None or previous is None:
                continue
            if _is_source(requirement.source, label, order.folder, requirement.text in previous.requirements):
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


def _known_sdists(previous: LayerLock | None, order: Order) -> Iterator[tuple[str, Path]]:
    yield from ((label, path) for label, path in _built_files(previous, order) if "/" not in label)


def _built_files(previous: LayerLock | None, order: Order) -> Iterator[tuple[str, Path]]:
    """Yield source and file of each built wheel of the existing lock that is there and whole."""
    if previous is None or previous.platform == "":
        return
    wheels = {wheel.name: wheel for wheel in previous.wheels}
    for built in previous.built:
        wheel = wheels[built.name]
        path = wheels_directory(order.output) / wheel.filename
        if built.name not in order.upgrade_packages and path.is_file() and file_digest(path) == wheel.sha256:
            yield built.source, path


def _lock(
    builder: Builder, base: Base, request: Request, order: Order, solution: Solution, exclude_newer: str
) -> LayerLock:
    index_url, extra_index_urls = index_names(request)
    own = base.environment.inputs.index_url
    if solution.own_index and own is not None:
        extra_index_urls = tuple(dict.fromkeys((*extra_index_urls, own)))
    return LayerLock(
        generation_id=base.generation.id,
        environment=base.environment.name,
        base=base.digest,
        platform=base.environment.inputs.platform,
        inputs=inputs_digest(base, request, order.overrides, exclude_newer),
        resolver=builder.resolver.name,
        exclude_newer=exclude_newer,
        wheels=solution.wheels,
        sources=order.source_names,
        extras=order.extras,
        groups=order.groups,
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


def _write(path: Path, lock: LayerLock, solution: Solution) -> None:
    """Write the wheels first: an interruption leaves the old lock, and all that it names."""
    folder = wheels_directory(path)
    kept = {file.name for file in solution.files}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if kept:
            folder.mkdir(exist_ok=True)
        for file in solution.files:
            if file != folder / file.name:
                _replace(folder / file.name, file.read_bytes())
        _replace(path, format_layer_lock(lock).encode())
        if folder.is_dir():
            for file in folder.glob("*.whl"):
                if file.name not in kept:
                    file.unlink()
            if not any(folder.iterdir()):
                folder.rmdir()
    except OSError as error:
        raise LockError(f"{path}: cannot be written: {error}") from error


def _replace(path: Path, content: bytes) -> None:
    staging = path.with_name(f".{path.name}.new")
    staging.write_bytes(content)
    staging.replace(path)
