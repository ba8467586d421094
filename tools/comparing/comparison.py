"""The differences of two generations: added and removed targets, and changed packages of the others."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from gens.lock import Lock, LockedWheel

Locks = Mapping[str, Lock]
"""The locks of a generation by target name."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one package that some targets share.

    Attributes:
        package: Name of the package.
        before: Version before, or None where the package is new.
        after: Version after, or None where the package is gone.
        targets: Names of the targets that have this change, in the order of the generation.
    """

    package: str
    before: str | None
    after: str | None
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences of two generations.

    Attributes:
        added: Targets that only the second has.
        removed: Targets that only the first has.
        common: Targets that both have.
        unchanged: Number of common targets whose wheels are the same.
        changes: Changes in the other common targets; a change of more targets comes first.
    """

    added: tuple[str, ...]
    removed: tuple[str, ...]
    common: tuple[str, ...]
    unchanged: int
    changes: tuple[Change, ...]


def compare(before: Locks, after: Locks) -> Comparison:
    """Compare two generations.

    Args:
        before: Locks of the first, in its order.
        after: Locks of the second, in its order.

    Returns:
        The differences. A package with the same version but another wheel counts as changed.
    """
    common = [name for name in after if name in before]
    targets_by_change: dict[tuple[str, str | None, str | None], list[str]] = {}
    for name in common:
        for change in _changes(before[name], after[name]):
            targets_by_change.setdefault(change, []).append(name)
    changes = [Change(*change, tuple(targets)) for change, targets in targets_by_change.items()]
    return Comparison(
        added=tuple(name for name in after if name not in before),
        removed=tuple(name for name in before if name not in after),
        common=tuple(common),
        unchanged=sum(before[name].wheels == after[name].wheels for name in common),
        changes=tuple(
            sorted(changes, key=lambda change: (-len(change.targets), change.package, change.targets))
        ),
    )


def _changes(before: Lock, after: Lock) -> Iterator[tuple[str, str | None, str | None]]:
    old = {wheel.name: wheel for wheel in before.wheels}
    new = {wheel.name: wheel for wheel in after.wheels}
    for name in sorted(old.keys() | new.keys()):
        old_wheel, new_wheel = old.get(name), new.get(name)
        if old_wheel is None or new_wheel is None:
            yield name, _version(old_wheel), _version(new_wheel)
        elif old_wheel.version != new_wheel.version:
            yield name, old_wheel.version, new_wheel.version
        elif old_wheel != new_wheel:
            yield name, _with_digest(old_wheel), _with_digest(new_wheel)


def _version(wheel: LockedWheel | None) -> str | None:
    return None if wheel is None else wheel.version


def _with_digest(wheel: LockedWheel) -> str:
    return f"{wheel.version} (sha256 {wheel.sha256[:12]}…)"
