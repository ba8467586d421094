"""Compares a mirror with what it is to have."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from rich.filesize import decimal

from gens.errors import MirrorError
from gens.mirror_shape import InterpreterConfig
from tools.mirror.destination import Destination
from tools.mirror.interpreters import Download, item_of
from tools.mirror.wanted import Item, Wanted

_NAMED = 3


@dataclass(frozen=True, slots=True)
class Difference:
    """A difference between a mirror and what it is to have.

    Attributes:
        text: What, for people.
        size_bytes: Size of the wheel that would be sent; 0 for anything else.
    """

    text: str
    size_bytes: int = 0


def check(
    wanted: Wanted,
    downloads: Mapping[str, Download],
    destination: Destination,
    jobs: int,
    advance: Callable[[int], None],
) -> Iterator[Difference]:
    """Compare a mirror with what it is to have: files are read, blobs of a registry are asked for.

    Args:
        wanted: The locks and wheels.
        downloads: The interpreters, by their keys.
        destination: The mirror.
        jobs: Files at a time.
        advance: Called with the size of each wheel that was compared.

    Yields:
        The differences; none if the mirror is complete.
    """
    yield from _wheels(wanted.items, destination, jobs, advance)
    try:
        present: Mapping[str, InterpreterConfig] = destination.interpreters() if downloads else {}
    except MirrorError as error:
        yield Difference(str(error))
        present = {}
    for key, download in downloads.items():
        known = present.get(key)
        if known is None or known.path != download.path:
            yield Difference(f"{key}: the interpreter {download.path} is missing")
        elif (fault := destination.fault(item_of(known))) is not None:
            yield Difference(f"{key}: the interpreter {download.path} {fault}")
    for tag in destination.unnamed(wanted.configs):
        yield Difference(f"{tag}: the lock is not named, or differs")
    yield from map(Difference, destination.defects())


def _wheels(
    items: Iterable[Item], destination: Destination, jobs: int, advance: Callable[[int], None]
) -> Iterator[Difference]:
    def compare(item: Item) -> tuple[Item, str | None]:
        fault = destination.fault(item)
        advance(item.size_bytes)
        return item, fault

    with ThreadPoolExecutor(jobs) as pool:
        for item, fault in pool.map(compare, items):
            if fault is not None:
                users = ", ".join(item.users[:_NAMED]) + (" …" if len(item.users) > _NAMED else "")
                yield Difference(
                    f"{item.filename} ({decimal(item.size_bytes)}, of {users}): {fault}", item.size_bytes
                )
