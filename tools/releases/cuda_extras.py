"""The extras of `cuda-toolkit` that a machine can have, where it cannot have `all`."""

from collections.abc import Callable, Iterable
from functools import cache

from packaging.metadata import Metadata
from packaging.requirements import Requirement
from packaging.version import Version

from tools.releases.index import IndexedWheel
from tools.releases.wheel_set import MACHINES, wheel_sets

_ALL = "all"


def served_extras(
    metadata: Metadata, wheels_of: Callable[[str], Iterable[IndexedWheel]]
) -> dict[str, list[str]]:
    """Return the extras of a release that each machine can have, where it cannot have all.

    The rule: an extra is left out where one of its packages has no wheel for that machine.

    Args:
        metadata: Metadata of the release.
        wheels_of: Returns the wheels of a package on the index.

    Returns:
        Extras by machine, in order; no entry for a machine that can have `all`.
    """
    extras = sorted(str(extra) for extra in metadata.provides_extra or () if extra != _ALL)

    @cache
    def is_served(extra: str, machine: str) -> bool:
        needs = [need for need in metadata.requires_dist or () if _applies(need, extra, machine)]
        return all(any(_serves(wheel, need, machine) for wheel in wheels_of(need.name)) for need in needs)

    return {
        machine: [extra for extra in extras if is_served(extra, machine)]
        for machine in MACHINES
        if not is_served(_ALL, machine)
    }


def _applies(need: Requirement, extra: str, machine: str) -> bool:
    environment = {
        "extra": extra,
        "sys_platform": "linux",
        "platform_system": "Linux",
        "platform_machine": machine,
    }
    return need.marker is not None and need.marker.evaluate({**environment, "os_name": "posix"})


def _serves(wheel: IndexedWheel, need: Requirement, machine: str) -> bool:
    return _matches(need, wheel.version) and machine in wheel_sets(wheel.tags)


def _matches(need: Requirement, version: Version) -> bool:
    return need.specifier.contains(version, prereleases=True)
