"""Divides an install into batches, each of which is fetched, linked, compiled and published at once.

Between two batches, an install can give way to what a model waits for. The environments of one Torch build,
which share most of their bytes, are one batch, whatever their Python.
"""

from collections.abc import Iterable, Sequence

from daemon.install.wanted import Wanted
from gens.generation import Toolkit


def make_batches(wanted: Iterable[Wanted]) -> list[Sequence[Wanted]]:
    """Return batches: of each generation the environments of each Torch build, then each toolkit.

    Args:
        wanted: What is to be installed, newest generation first.
    """
    batches: dict[tuple[object, ...], list[Wanted]] = {}
    for item in sorted(wanted, key=lambda item: (-item.generation.id, isinstance(item.target, Toolkit))):
        batches.setdefault(_key(item), []).append(item)
    return list(batches.values())


def _key(item: Wanted) -> tuple[object, ...]:
    target = item.target
    if isinstance(target, Toolkit):
        return (item.generation.id, target.name)
    return (item.generation.id, target.torch, target.build, target.stack)
