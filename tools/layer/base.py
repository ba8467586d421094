"""Finds the environment that a layer stands on, by a full or an abbreviated name."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property

from packaging.version import Version

from gens.abbreviation import abbreviates
from gens.catalog import Catalog
from gens.errors import DefinitionError, LockError
from gens.generation import Environment, Generation
from gens.lock import Lock, LockedWheel
from layers.lock import lock_digest

_MOST_SHOWN = 4


@dataclass(frozen=True)
class Base:
    """An environment with its lock.

    Attributes:
        generation: Its generation, with the environments of its machine only.
        environment: The environment.
        lock: Its lock.
        digest: Digest of the text of its lock.
    """

    generation: Generation
    environment: Environment
    lock: Lock
    digest: str

    @property
    def name(self) -> str:
        """Name in messages: `g00002/python3.12-torch2.13.0-cu130`."""
        return f"{self.generation.directory_name}/{self.environment.full_name}"

    @cached_property
    def wheels(self) -> Mapping[str, LockedWheel]:
        """Wheels of the environment by name."""
        return {wheel.name: wheel for wheel in self.lock.wheels}

    def has(self, name: str, version: str) -> bool:
        """Return whether it has a package at a version."""
        return name in self.wheels and Version(self.wheels[name].version) == Version(version)


def find_generation(catalog: Catalog, generation_id: int | None, machine: str) -> Generation:
    """Return a generation with the environments of one machine.

    Args:
        catalog: All generations.
        generation_id: ID of the generation; None for the newest one.
        machine: The machine, as `platform.machine()` names it.

    Raises:
        DefinitionError: There is none, or it has nothing for that machine.
    """
    if generation_id is not None:
        return catalog.generation(generation_id).for_machine(machine)
    return catalog.between(None, None)[-1].for_machine(machine)


def find_base(catalog: Catalog, generation: Generation, name: str) -> Base:
    """Return the environment with a name, and its lock.

    Args:
        catalog: Catalog with the locks.
        generation: The generation, with the environments of one machine.
        name: Its name; an abbreviation such as `3.12-torch2.13` will do if only one environment fits it.

    Raises:
        DefinitionError: No environment, or more than one, fits the name.
        LockError: Its lock is missing or malformed.
    """
    return read_base(catalog, generation, _environment(generation, name))


def read_base(catalog: Catalog, generation: Generation, environment: Environment) -> Base:
    """Return an environment with its lock.

    Args:
        catalog: Catalog with the locks.
        generation: The generation, with the environments of one machine.
        environment: The environment.

    Raises:
        LockError: Its lock is missing or malformed.
    """
    lock = catalog.lock(generation, environment)
    path = catalog.lock_path(generation, environment)
    try:
        digest = lock_digest(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise LockError(f"{path}: cannot be read: {error}") from error
    return Base(generation, environment, lock, digest)


def _environment(generation: Generation, name: str) -> Environment:
    environments = generation.environments
    machine, slash, without_machine = name.rpartition("/")
    if slash and machine in generation.machines:
        name = without_machine
    for environment in environments:
        full_names = (environment.name, environment.full_name, environment.name.removeprefix("python"))
        if name in full_names:
            return environment
    fitting = [environment for environment in environments if abbreviates(name, environment.name)]
    if len(fitting) == 1:
        return fitting[0]
    if not fitting:
        nearest = _shown(sorted(environments, key=lambda environment: -_likeness(name, environment.name)))
        raise DefinitionError(
            f"--env: {generation.directory_name} has no {name!r} for {generation.machines[0]}; "
            f"{'the nearest are' if len(environments) > _MOST_SHOWN else 'it has'} {nearest}"
        )
    names = _shown(fitting)
    raise DefinitionError(
        f"--env: {name!r} fits {len(fitting)} environments of {generation.directory_name}: {names}; "
        "name one of them"
    )


def _shown(environments: Sequence[Environment]) -> str:
    """Return the first few names, and how many others there are."""
    names = ", ".join(environment.name for environment in environments[:_MOST_SHOWN])
    more = len(environments) - _MOST_SHOWN
    return f"{names}, and {more} others" if more > 0 else names


def _likeness(abbreviation: str, name: str) -> float:
    """Return how much a name is like an abbreviation: by whole parts, then by letters."""
    common = sum(abbreviates(part, name) for part in abbreviation.split("-"))
    return common + SequenceMatcher(None, abbreviation, name.removeprefix("python")).ratio()
