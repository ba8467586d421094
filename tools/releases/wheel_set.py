"""The wheels of one release for one machine: the Pythons that they serve, and the oldest glibc."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from packaging.tags import Tag

MACHINES = ("aarch64", "x86_64")
_PLATFORM = re.compile(
    r"manylinux(?:_(?P<major>\d+)_(?P<minor>\d+)|(?P<legacy>1|2010|2014))_(?P<machine>\w+)"
)
_LEGACY = {"1": (2, 5), "2010": (2, 12), "2014": (2, 17)}  # PEP 600
_CPYTHON = re.compile(r"cp3(?P<minor>\d+)")
ANY = "any"


@dataclass(frozen=True, slots=True)
class WheelSet:
    """The Pythons that the wheels of a release serve on one machine.

    Attributes:
        glibc: The oldest glibc that all of them run on, such as `2.28`; `0` where they need none.
        python: Minor versions, such as `3.12`, in order; `("any",)` if they run on each Python 3.
        free_threaded: Those without the global lock, such as `3.13t` (PEP 703).
    """

    glibc: str
    python: tuple[str, ...]
    free_threaded: tuple[str, ...] = ()


def wheel_sets(tags: Iterable[Tag]) -> dict[str, WheelSet]:
    """Sort the wheels of a release by machine.

    `py3` and `abi3` count as all Pythons, `any`: a release is newer than the oldest Python that it names.

    Args:
        tags: Tags of all wheels of the release.

    Returns:
        The wheels by machine, `aarch64` and `x86_64`; a machine without wheels is left out.
    """
    found, held = {}, list(tags)
    for machine in MACHINES:
        served = [
            (glibc, *python)
            for tag in held
            if (glibc := _glibc(tag.platform, machine)) is not None
            and (python := _python(tag.interpreter, tag.abi)) is not None
        ]
        if served:
            names = {name for _, name, free in served if not free}
            found[machine] = WheelSet(
                ".".join(map(str, max(glibc for glibc, _, _ in served))).removesuffix(".0"),
                (ANY,) if ANY in names else tuple(sorted(names, key=_order)),
                tuple(sorted({f"{name}t" for _, name, free in served if free}, key=_order)),
            )
    return found


def _glibc(platform: str, machine: str) -> tuple[int, int] | None:
    if platform == "any":
        return 0, 0
    found = _PLATFORM.fullmatch(platform)
    if found is None or found["machine"] != machine:
        return None
    if found["legacy"]:
        return _LEGACY[found["legacy"]]
    return int(found["major"]), int(found["minor"])


def _python(interpreter: str, abi: str) -> tuple[str, bool] | None:
    """Return the Python of a tag, and whether it is one without the global lock."""
    if interpreter == "py3" or abi == "abi3":
        return ANY, False
    found = _CPYTHON.fullmatch(interpreter)
    return None if found is None else (f"3.{found['minor']}", abi.endswith("t"))


def _order(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in name.removesuffix("t").split("."))
