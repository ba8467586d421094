"""Compares a mirror with what it is to have."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from rich.filesize import decimal

from tools.mirror.destination import Destination
from tools.mirror.interpreters import Download, item_of
from tools.mirror.wanted import Wanted

_NAMED = 3


def check(
    wanted: Wanted, downloads: Mapping[str, Download], destination: Destination, jobs: int
) -> Iterator[str]:
    """Compare a mirror with what it is to have: files are read, blobs of a registry are asked for.

    Args:
        wanted: The locks and wheels.
        downloads: The interpreters, by their keys.
        destination: The mirror.
        jobs: Files at a time.

    Yields:
        A line for each difference; none if the mirror is complete.
    """
    with ThreadPoolExecutor(jobs) as pool:
        for item, fault in zip(wanted.items, pool.map(destination.fault, wanted.items), strict=True):
            if fault is not None:
                users = ", ".join(item.users[:_NAMED]) + (" …" if len(item.users) > _NAMED else "")
                yield f"{item.filename} ({decimal(item.size_bytes)}, of {users}): {fault}"
    present = destination.interpreters() if downloads else {}
    for key, download in downloads.items():
        known = present.get(key)
        if known is None or known.path != download.path:
            yield f"{key}: the interpreter {download.path} is missing"
        elif (fault := destination.fault(item_of(known))) is not None:
            yield f"{key}: the interpreter {download.path} {fault}"
    for tag in destination.unnamed(wanted.configs):
        yield f"{tag}: the lock is not named, or differs"
    yield from destination.defects()
