"""Computes the wheel tags that a target accepts, best first, without an interpreter of the target."""

import re
from collections.abc import Iterator
from functools import lru_cache

from packaging.tags import Tag, compatible_tags, cpython_tags
from packaging.utils import parse_wheel_filename

from gens.errors import DefinitionError

_PLATFORM = re.compile(r"(?P<arch>x86_64|aarch64)-manylinux_2_(?P<minor>[0-9]+)")
_LEGACY = {17: "manylinux2014", 12: "manylinux2010", 5: "manylinux1"}


def target_tags(python: str, platform: str) -> tuple[Tag, ...]:
    """Return the tags of a target, in the order of an installer's preference.

    Args:
        python: Version of CPython, such as `3.11.10`.
        platform: Platform in uv's words, such as `x86_64-manylinux_2_28`.

    Raises:
        DefinitionError: The platform is not one of glibc on Linux.
    """
    found = _PLATFORM.fullmatch(platform)
    if found is None:
        raise DefinitionError(f"platform: {platform!r}; allowed: of the form x86_64-manylinux_2_28")
    platforms = list(_platforms(found["arch"], int(found["minor"])))
    major, minor = (int(part) for part in python.split(".")[:2])
    return (
        *cpython_tags((major, minor), platforms=platforms),
        *compatible_tags((major, minor), interpreter=f"cp{major}{minor}", platforms=platforms),
    )


def best_wheel(filenames: list[str], tags: tuple[Tag, ...]) -> str:
    """Return the wheel that an installer would choose.

    Args:
        filenames: Wheels of one version of a package, each with a tag of the target.
        tags: Tags of the target, best first.

    Returns:
        One of the file names; of those that are equally specific, the one with the highest build number.
    """
    if len(filenames) == 1:
        return filenames[0]
    ranks = _ranks(tags)

    def preference(filename: str) -> tuple[int, tuple[()] | tuple[int, str], str]:
        _, _, build, wheel_tags = parse_wheel_filename(filename)
        return -min(ranks.get(tag, len(ranks)) for tag in wheel_tags), build, filename

    return max(filenames, key=preference)


@lru_cache(maxsize=8)
def _ranks(tags: tuple[Tag, ...]) -> dict[Tag, int]:
    return {tag: rank for rank, tag in enumerate(tags)}


def _platforms(arch: str, newest: int) -> Iterator[str]:
    # The oldest glibc of the tags: 2.5 for x86_64, 2.17 for newer architectures (PEP 600).
    for minor in range(newest, 4 if arch == "x86_64" else 16, -1):
        yield f"manylinux_2_{minor}_{arch}"
        if minor in _LEGACY:
            yield f"{_LEGACY[minor]}_{arch}"
    yield f"linux_{arch}"
