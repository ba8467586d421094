"""The environments and toolkits to install, and the wheels to download for them."""

from collections.abc import Iterable
from dataclasses import dataclass

from daemon.errors import DamageError, NewerFormatError
from daemon.prefix.inventory import inventory_path, read_inventory
from daemon.prefix.prefix import Prefix
from daemon.uv.cache import find_archive
from gens.generation import Environment, Generation, Target
from gens.lock import Lock, LockedWheel


@dataclass(frozen=True, slots=True)
class Wanted:
    """An environment or toolkit that is to be installed.

    Attributes:
        generation: Its generation.
        target: The environment or toolkit.
        lock: Its lock.
    """

    generation: Generation
    target: Target
    lock: Lock

    @property
    def label(self) -> str:
        """Name in messages: `g00003/python3.11-torch2.4.1-cu121`."""
        return f"{self.generation.directory_name}/{self.target.name}"

    @property
    def has_stack(self) -> bool:
        """True for the environment of a stack."""
        return isinstance(self.target, Environment) and self.target.stack is not None

    def index_url(self, wheel: LockedWheel) -> str | None:
        """Return the index that serves a wheel of the lock; None for the default index."""
        if wheel.name in self.target.inputs.index_packages:
            return self.target.inputs.index_url
        return None


@dataclass(frozen=True, slots=True)
class WheelToFetch:
    """A wheel that is not yet on the prefix.

    Attributes:
        wheel: The wheel.
        index_url: Index that serves it; None for the default index.
        platform: Target platform in uv's words.
        pythons: Full Python versions that use it, any of which can fetch it.
    """

    wheel: LockedWheel
    index_url: str | None
    platform: str
    pythons: tuple[str, ...]


def wheels_to_fetch(prefix: Prefix, wanted: Iterable[Wanted]) -> tuple[WheelToFetch, ...]:
    """Find the wheels of some environments and toolkits that are not on the prefix, each once.

    Args:
        prefix: The prefix.
        wanted: The environments and toolkits.

    Returns:
        The wheels, each with all Pythons that it is for.
    """
    uses: dict[str, list[tuple[Wanted, LockedWheel]]] = {}
    for item in wanted:
        for wheel in item.lock.wheels:
            uses.setdefault(wheel.sha256, []).append((item, wheel))
    missing = []
    for of_one in uses.values():
        item, wheel = of_one[0]
        if not (_has_inventory(prefix, wheel) and find_archive(prefix.uv_cache, wheel)):
            pythons = tuple(sorted({item.target.inputs.python for item, _ in of_one}))
            missing.append(WheelToFetch(wheel, item.index_url(wheel), item.target.inputs.platform, pythons))
    return tuple(missing)


def missing_bytes(prefix: Prefix, wanted: Iterable[Wanted]) -> dict[str, int]:
    """Return the sizes of the wheels that the prefix seems to lack, by digest.

    Unlike `wheels_to_fetch`, this reads no inventory: it serves to divide an install into steps.

    Args:
        prefix: The prefix.
        wanted: The environments and toolkits.
    """
    wheels = {wheel.sha256: wheel for item in wanted for wheel in item.lock.wheels}
    return {
        sha256: wheel.size_bytes
        for sha256, wheel in wheels.items()
        if not inventory_path(prefix, sha256).exists() or find_archive(prefix.uv_cache, wheel) is None
    }


def _has_inventory(prefix: Prefix, wheel: LockedWheel) -> bool:
    try:
        return read_inventory(prefix, wheel.sha256) is not None
    except DamageError:
        return False  # the wheel is downloaded again, and its inventory written again
    except NewerFormatError:
        return True  # `drop_damaged_wheels` reports it
