"""Remembers the files that inventories and lists of bytecode name, while a check goes on.

Environments share wheels, so a check of a thousand needs each record hundreds of times. Reading, unpacking
and parsing one takes milliseconds; looking whether it is the same file as before, microseconds.
"""

import os
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path

from daemon.prefix.inventory import InventoryFile

_MAX_FILES = 60_000  # 20 MB; an environment with Torch has 20,000

_Identity = tuple[int, int, int, int, int]
_Key = tuple[str, str, str]
Files = Mapping[str, InventoryFile]


class RecordMemory:
    """The records that were read last, for one thread and one check.

    A record is read again once its file is another one, or was written to. What was read at its first use was
    compared with the digest of a manifest then, and counts for this check: it is no longer than a check takes
    that reads everything once.

    Args:
        max_files: How many files of records are kept; those that were not used for longest are forgotten.
    """

    def __init__(self, max_files: int = _MAX_FILES) -> None:
        self._max_files = max_files
        self._held: OrderedDict[_Key, tuple[_Identity, Files]] = OrderedDict()
        self._count = 0

    def files(self, path: Path, sha256: str, directory: str, read: Callable[[], Files]) -> Files:
        """Return the files of a record.

        Args:
            path: The record.
            sha256: The digest that a manifest has of it.
            directory: The folder of a tree that the paths are in.
            read: Reads the record, compares it with the digest, and returns its files.
        """
        key = str(path), sha256, directory
        identity = _identity(path)
        known = self._held.get(key)
        if known is not None and known[0] == identity:
            self._held.move_to_end(key)
            return known[1]
        files = read()
        if identity is not None and _identity(path) == identity:
            self._keep(key, identity, files)
        return files

    def _keep(self, key: _Key, identity: _Identity, files: Files) -> None:
        if key in self._held:
            self._count -= len(self._held.pop(key)[1])
        self._held[key] = identity, files
        self._count += len(files)
        while self._count > self._max_files and len(self._held) > 1:
            _, (_, dropped) = self._held.popitem(last=False)
            self._count -= len(dropped)


def _identity(path: Path) -> _Identity | None:
    try:
        status = os.stat(path)  # noqa: PTH116 (there are many)
    except OSError:  # whoever reads it says so
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
