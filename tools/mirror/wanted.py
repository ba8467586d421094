"""The locks and wheels that a mirror is to have, as the options of the command name them."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from gens.catalog import Catalog
from gens.errors import DefinitionError, LockError
from gens.generation import Generation, Target
from gens.lock import Lock, LockedWheel, format_lock
from gens.mirror_shape import LockConfig, file_path, lock_config
from gens.selection import EVERYTHING, Selection


@dataclass(frozen=True, slots=True)
class Item:
    """A file that a mirror is to have.

    Attributes:
        filename: Its name.
        sha256: Its digest, 64 hex digits.
        size_bytes: Its size.
        path: Its path in a tree.
        project: Of a wheel: normalized name of its package; empty for an interpreter.
        indexes: Of a wheel: URLs of the indexes that its locks name, in the order to ask them; an empty one
            is the default index.
        users: Tags of the locks that need it.
    """

    filename: str
    sha256: str
    size_bytes: int
    path: str
    project: str = ""
    indexes: tuple[str, ...] = ()
    users: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """Digest as registries write it."""
        return f"sha256:{self.sha256}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """The content that a mirror is to have.

    Attributes:
        generations: IDs of the generations.
        configs: The locks, in the order of the generations.
        items: The wheels, each once, the largest first, so that the last to arrive is small.
        pythons: Version and machine of each interpreter.
    """

    generations: tuple[int, ...]
    configs: tuple[LockConfig, ...]
    items: tuple[Item, ...]
    pythons: tuple[tuple[str, str], ...]

    @property
    def size_bytes(self) -> int:
        """Size of all wheels."""
        return sum(item.size_bytes for item in self.items)


@dataclass(frozen=True, slots=True)
class Request:
    """The generations, targets and machines that the options name.

    Attributes:
        generation_ids: IDs of single generations.
        min_gen_id: Lowest ID of a range; None for no bound.
        max_gen_id: Highest ID of a range; None for no bound.
        selection: The part of each generation.
        machines: Machines; none for all that a generation is for.
    """

    generation_ids: tuple[int, ...]
    min_gen_id: int | None = None
    max_gen_id: int | None = None
    selection: Selection = EVERYTHING
    machines: tuple[str, ...] = ()


def read_wanted(catalog: Catalog, request: Request) -> Wanted:
    """Read the locks that a request names.

    Args:
        catalog: All generations.
        request: The request.

    Raises:
        DefinitionError: A generation, pattern, pool or machine does not exist.
        LockError: A lock is missing or malformed, or two locks contradict each other.
    """
    generations = _generations(catalog, request)
    selection = catalog.resolve(request.selection)
    selection.check(generations)
    found: list[tuple[Target, Lock, LockConfig]] = []
    for generation in generations:
        for target in selection.targets(generation):
            if not request.machines or target.inputs.machine in request.machines:
                lock = catalog.lock(generation, target)
                found.append((target, lock, lock_config(lock, target.inputs.machine, format_lock(lock))))
    _refuse_nothing(found, generations, request)
    pythons = sorted({(target.inputs.python, target.inputs.machine) for target, _, _ in found})
    return Wanted(
        tuple(generation.id for generation in generations),
        tuple(config for _, _, config in found),
        _items(found),
        tuple(pythons),
    )


def _generations(catalog: Catalog, request: Request) -> tuple[Generation, ...]:
    chosen = {number: catalog.generation(number) for number in request.generation_ids}
    if request.min_gen_id is not None or request.max_gen_id is not None or not chosen:
        ranged = catalog.between(request.min_gen_id, request.max_gen_id)
        chosen |= {generation.id: generation for generation in ranged}
    return tuple(chosen[number] for number in sorted(chosen))


def _refuse_nothing(
    found: Sequence[tuple[Target, Lock, LockConfig]], generations: Iterable[Generation], request: Request
) -> None:
    known = {machine for generation in generations for machine in generation.machines}
    for machine in request.machines:
        if machine not in known:
            raise DefinitionError(
                f"--machine {machine}: the generations are for {' and '.join(sorted(known))}; name one"
            )
    if not found:
        raise DefinitionError(
            f"{request.selection.option} selects nothing for {' and '.join(request.machines)}; leave one out"
        )
    tags: dict[str, LockConfig] = {}
    for _, _, config in found:
        if tags.setdefault(config.tag, config) is not config:
            raise LockError(f"{config.tag}: is the tag of two locks; mirror them into separate repositories")


def _items(found: Sequence[tuple[Target, Lock, LockConfig]]) -> tuple[Item, ...]:
    wheels: dict[str, LockedWheel] = {}
    indexes: dict[str, dict[str, None]] = {}
    users: dict[str, list[str]] = {}
    for target, lock, config in found:
        for wheel in lock.wheels:
            known = wheels.setdefault(wheel.sha256, wheel)
            if (known.filename, known.size_bytes) != (wheel.filename, wheel.size_bytes):
                raise LockError(
                    f"{config.tag}: {wheel.filename} has the digest of {known.filename} or another size; one "
                    "of their locks is wrong"
                )
            indexes.setdefault(wheel.sha256, {}).update(dict.fromkeys(_indexes(target, lock, wheel.name)))
            users.setdefault(wheel.sha256, []).append(config.tag)
    return tuple(
        sorted(
            (_item(wheel, indexes, users) for wheel in wheels.values()),
            key=lambda item: (-item.size_bytes, item.path),
        )
    )


def _item(
    wheel: LockedWheel, indexes: Mapping[str, Mapping[str, None]], users: Mapping[str, Sequence[str]]
) -> Item:
    return Item(
        wheel.filename,
        wheel.sha256,
        wheel.size_bytes,
        file_path(wheel.sha256, wheel.filename),
        wheel.name,
        tuple(indexes[wheel.sha256]),
        tuple(users[wheel.sha256]),
    )


def _indexes(target: Target, lock: Lock, name: str) -> list[str]:
    """Return the indexes that may have a package of a lock, the one that it was resolved with first."""
    own = (
        [target.inputs.index_url] if target.inputs.index_url and name in target.inputs.index_packages else []
    )
    return [*own, lock.index_url or "", *lock.extra_index_urls]
