"""The pools: selections with a name, defined in `pools.bzl` beside the generations.

A Bazel rule writes them as `pools.json`, beside the definitions: `{"NAME": ["PATTERN", …], …}`. The file may
be absent: then there are no pools.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from gens.errors import DefinitionError
from gens.generation import Generation
from gens.selection import unmatched

POOLS_NAME = "pools.json"
_NAME = re.compile(r"[a-z0-9](-?[a-z0-9]){0,39}")
_PATTERN = re.compile(r"[a-z0-9.*?_-]{1,100}")  # what `pools.bzl` can match


def parse_pools(text: str | bytes, path: Path) -> dict[str, tuple[str, ...]]:
    """Read pools from JSON.

    Args:
        text: The JSON that the Bazel rule wrote.
        path: File that it was read from, for messages.

    Returns:
        The patterns of each pool.

    Raises:
        DefinitionError: The JSON is malformed, or a name or pattern does not have its form.
    """
    try:
        pools = msgspec.json.decode(text, type=dict[str, tuple[str, ...]])
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise DefinitionError(f"{path}: not a list of pools: {error}") from error
    for name, patterns in pools.items():
        if _NAME.fullmatch(name) is None:
            raise DefinitionError(f"{path}: {name!r} is not the name of a pool such as h100")
        if not patterns:
            raise DefinitionError(f"{path}: the pool {name} has no patterns; '*' selects everything")
        for pattern in patterns:
            if _PATTERN.fullmatch(pattern) is None:
                raise DefinitionError(
                    f"{path}: the pool {name} has {pattern!r}, not a pattern of names such as python3.12-*"
                )
    return pools


def check_pools(pools: Mapping[str, Iterable[str]], generations: Iterable[Generation], path: Path) -> None:
    """Refuse pools with a pattern that matches nothing of any generation.

    Args:
        pools: The patterns of each pool.
        generations: All generations, with the targets of all platforms.
        path: File that the pools were read from, for messages.

    Raises:
        DefinitionError: A pattern matches no name.
    """
    names = {target.name for generation in generations for target in generation.targets}
    for pool, patterns in pools.items():
        idle = unmatched(patterns, names)
        if idle:
            raise DefinitionError(f"{path}: the pool {pool}: {' '.join(idle)} matches nothing; correct it")
