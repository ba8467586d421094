"""Bytes of the locked wheels of a generation: of each target, and of what targets share.

All figures are sizes of wheel files: what a node downloads. Installed files take more.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from gens.catalog import Catalog
from gens.generation import Generation, Target
from gens.lock import Lock


@dataclass(frozen=True, slots=True)
class TargetBytes:
    """The bytes of one target.

    Attributes:
        target: The environment or toolkit.
        wheel_bytes: Bytes of its wheels.
        added_bytes: Bytes of the wheels that no other target of its generation and platform has: what it adds
            to a node that has all others.
        conflicts: Of a stack: the pins of its base that it does not keep, such as `numpy==2.5.0`.
    """

    target: Target
    wheel_bytes: int
    added_bytes: int
    conflicts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PlatformBytes:
    """The bytes of a generation on one platform.

    Attributes:
        platform: Platform in uv's words.
        targets: Its environments, then its toolkits.
        wheels: Number of distinct wheels.
        wheel_bytes: Bytes of the distinct wheels: a node's download.
        locked_bytes: Bytes of the wheels of each lock, summed up: the size of separate downloads.
        new_bytes: Bytes of the distinct wheels that no older generation has: the download of a node that has
            all older generations.
    """

    platform: str
    targets: tuple[TargetBytes, ...]
    wheels: int
    wheel_bytes: int
    locked_bytes: int
    new_bytes: int

    @property
    def shared_percent(self) -> int:
        """Share of the separate downloads that a node saves, in percent."""
        return 100 - 100 * self.wheel_bytes // self.locked_bytes if self.locked_bytes else 0


@dataclass(frozen=True, slots=True)
class GenerationBytes:
    """The bytes of a generation.

    Attributes:
        generation: The generation.
        platforms: Its platforms, in the order of the definition.
        wheels: Number of distinct wheels of all platforms.
        wheel_bytes: Bytes of the distinct wheels of all platforms.
    """

    generation: Generation
    platforms: tuple[PlatformBytes, ...]
    wheels: int
    wheel_bytes: int

    @property
    def locks(self) -> int:
        """Number of locks."""
        return sum(len(platform.targets) for platform in self.platforms)

    @property
    def locked_bytes(self) -> int:
        """Bytes of the wheels of each lock, summed up."""
        return sum(platform.locked_bytes for platform in self.platforms)


def read_bytes(catalog: Catalog, generations: Iterable[Generation]) -> list[GenerationBytes]:
    """Count the bytes of generations from their locks.

    Args:
        catalog: Catalog with the locks.
        generations: The generations, oldest first.

    Returns:
        The bytes of each generation, in the same order.

    Raises:
        LockError: A lock is missing or malformed.
    """
    found = []
    older: set[str] = set()
    for generation in generations:
        locked = [(target, catalog.lock(generation, target)) for target in generation.targets]
        by_platform: dict[str, list[tuple[Target, Lock]]] = {}
        for target, lock in locked:
            by_platform.setdefault(target.inputs.platform, []).append((target, lock))
        sizes_bytes = _sizes(lock for _, lock in locked)
        found.append(
            GenerationBytes(
                generation,
                tuple(_platform(platform, some, older) for platform, some in by_platform.items()),
                len(sizes_bytes),
                sum(sizes_bytes.values()),
            )
        )
        older |= sizes_bytes.keys()
    return found


def _platform(platform: str, locked: list[tuple[Target, Lock]], older: set[str]) -> PlatformBytes:
    users = Counter(sha256 for _, lock in locked for sha256 in _sizes([lock]))
    sizes_bytes = _sizes(lock for _, lock in locked)
    targets = tuple(
        TargetBytes(
            target,
            lock.size_bytes,
            sum(size for sha256, size in _sizes([lock]).items() if users[sha256] == 1),
            lock.conflicts,
        )
        for target, lock in locked
    )
    return PlatformBytes(
        platform,
        targets,
        len(sizes_bytes),
        sum(sizes_bytes.values()),
        sum(target.wheel_bytes for target in targets),
        sum(size for sha256, size in sizes_bytes.items() if sha256 not in older),
    )


def _sizes(locks: Iterable[Lock]) -> dict[str, int]:
    return {wheel.sha256: wheel.size_bytes for lock in locks for wheel in lock.wheels}
