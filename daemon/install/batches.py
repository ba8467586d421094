"""Divides an install into batches, and each batch into steps.

Between two batches, an install can give way to what a model waits for. The environments of one Torch build,
which share most of their bytes, are one batch, whatever their Python.

The steps of a batch overlap: while one is linked, compiled and published, the next one is fetched. So an
environment can be used as soon as its own wheels have arrived.
"""

from collections.abc import Iterable, Mapping, Sequence

from daemon.install.wanted import Wanted
from gens.generation import Toolkit

_STEP_BYTES = 200_000_000


def make_batches(wanted: Iterable[Wanted]) -> list[Sequence[Wanted]]:
    """Return batches: of each generation the environments of each Torch build, then each toolkit.

    Args:
        wanted: What is to be installed, newest generation first.
    """
    batches: dict[tuple[object, ...], list[Wanted]] = {}
    for item in sorted(wanted, key=lambda item: (-item.generation.id, isinstance(item.target, Toolkit))):
        batches.setdefault(_key(item), []).append(item)
    return list(batches.values())


def make_steps(batch: Sequence[Wanted], missing: Mapping[str, int]) -> list[Sequence[Wanted]]:
    """Return the steps of a batch: first all that needs no download, then the rest in the order of the batch.

    Small environments and toolkits share a step: a step takes a call of uv and several syncs of the disk.

    Args:
        batch: What is installed in one batch, not empty.
        missing: The size in bytes of each wheel that is to be downloaded, by digest.
    """
    left = dict(missing)
    steps: list[list[Wanted]] = [[item for item in batch if not _missing_bytes(item, missing)]]
    step_bytes = 0
    for item in batch:
        if not _missing_bytes(item, missing):
            continue
        own = sum(left.pop(wheel.sha256, 0) for wheel in item.lock.wheels)
        if step_bytes == 0 or (step_bytes + own > _STEP_BYTES and own):
            steps.append([])
            step_bytes = 0
        steps[-1].append(item)
        step_bytes += own
    return [step for step in steps if step]


def _missing_bytes(item: Wanted, missing: Mapping[str, int]) -> int:
    return sum(missing.get(wheel.sha256, 0) for wheel in item.lock.wheels)


def _key(item: Wanted) -> tuple[object, ...]:
    target = item.target
    if isinstance(target, Toolkit):
        return (item.generation.id, target.name)
    return (item.generation.id, target.torch, target.build, target.stack)
