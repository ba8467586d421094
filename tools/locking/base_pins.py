"""Resolves a stack with the pins of the environment that it builds on, all but those that it cannot have.

A package at the same version in both is one wheel, which a node fetches and stores once.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from packaging.version import Version

from gens.generation import Inputs
from gens.lock import LockedWheel
from tools.locking.resolver import Resolution, UnsatisfiableError

Resolve = Callable[[Inputs], Resolution]


def resolve_on_base(resolve: Resolve, inputs: Inputs, base: Sequence[LockedWheel]) -> Resolution:
    """Resolve a stack with as many pins of its base as it can have.

    A pin is in conflict if there is no solution with it, or only one with an older release of a package that
    the base does not pin: metadata that forget a bound would else lead to releases that do not work.
    Where not all pins can be had together, those of large wheels are kept before those of small ones.

    Args:
        resolve: Resolves inputs.
        inputs: Inputs of the stack.
        base: Wheels of its base.

    Returns:
        The resolution with the pins that are kept, and the conflicts.

    Raises:
        UnsatisfiableError: The stack has no solution without any pin either.
        ResolutionError: An index does not answer.
    """
    free = resolve(inputs)
    search = _Search(resolve, inputs, {wheel.name: Version(wheel.version) for wheel in free.wheels})
    wanted = [wheel for wheel in base if not _is_that(wheel, free)]
    # What the free solution has, or does not have at all, it admits.
    kept = [wheel for wheel in base if _is_that(wheel, free)]
    found, pins = search.add(free, kept, sorted(wanted, key=lambda wheel: (-wheel.size_bytes, wheel.name)))
    kept_names = {wheel.name for wheel in pins}
    conflicts = [wheel for wheel in base if wheel.name not in kept_names]
    return replace(found, conflicts=tuple(sorted(conflicts, key=lambda wheel: wheel.name)))


def _is_that(wheel: LockedWheel, free: Resolution) -> bool:
    versions = [other.version for other in free.wheels if other.name == wheel.name]
    return not versions or wheel.version in versions


@dataclass(frozen=True, slots=True)
class _Search:
    """A search for pins that can be had together.

    Attributes:
        resolve: Resolves inputs.
        inputs: Inputs of the stack.
        free: The versions that it has without pins, by name.
    """

    resolve: Resolve
    inputs: Inputs
    free: Mapping[str, Version]

    def add(
        self, found: Resolution, kept: Sequence[LockedWheel], wanted: Sequence[LockedWheel]
    ) -> tuple[Resolution, Sequence[LockedWheel]]:
        """Add all pins, or, where that is not possible, those of each half.

        Args:
            found: The solution with the kept ones.
            kept: Pins that can be had together.
            wanted: Further pins.

        Returns:
            The solution, and its pins.
        """
        if not wanted:
            return found, kept
        together = self._solution([*kept, *wanted])
        if together is not None:
            return together, [*kept, *wanted]
        if len(wanted) == 1:
            return found, kept
        half = len(wanted) // 2
        found, kept = self.add(found, kept, wanted[:half])
        return self.add(found, kept, wanted[half:])

    def _solution(self, pins: Sequence[LockedWheel]) -> Resolution | None:
        constraints = [f"{pin.name}=={pin.version}" for pin in pins]
        try:
            found = self.resolve(replace(self.inputs, constraints=(*self.inputs.constraints, *constraints)))
        except UnsatisfiableError:
            return None
        pinned = {pin.name for pin in pins}
        older = [
            wheel
            for wheel in found.wheels
            if wheel.name not in pinned
            and Version(wheel.version) < self.free.get(wheel.name, Version(wheel.version))
        ]
        return None if older else found
