"""Takes the inventories of the wheels that arrived in uv's cache, and makes them durable."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from daemon.host.durability import begin_to_write, sync_directory, sync_filesystem
from daemon.host.fault import fault_point
from daemon.host.known_contents import KnownContents
from daemon.install.cache_folders import CacheFolders
from daemon.prefix.content_store import ContentStore
from daemon.prefix.inventory import (
    Inventory,
    check_against_held,
    keep_inventory,
    record_differences,
    take_inventory,
    write_inventory,
)
from daemon.prefix.prefix import Prefix
from daemon.prefix.staging import temporary_path
from daemon.uv.cache import drop_wheel, fetched_archive, find_archive
from gens.errors import MonobaseError
from gens.lock import LockedWheel

_KEEP_FILES = 30_000
_LARGE_BYTES = 4_000_000  # of 4.9 GB of a Torch with CUDA, 4.5 GB are in such files

# Called with each wheel that was read: its folder in uv's cache, and its files.
ReadObserver = Callable[[LockedWheel, Path, Inventory], None]


@dataclass(frozen=True, slots=True)
class _Arrival:
    """A wheel whose inventory was taken, and waits in the staging folder."""

    wheel: LockedWheel
    archive: Path
    inventory: Inventory
    staged: Path


@dataclass(slots=True)
class Arrivals:
    """The wheels of one fetch that arrived.

    Attributes:
        prefix: The prefix.
        store: The contents that wheels share.
        folders: The folders of Monobase's index in uv's cache.
        jobs: Number of wheels to read at once.
        known: The contents that the run has read.
        observe: Called with each wheel that was read; several threads call it.
    """

    prefix: Prefix
    store: ContentStore
    folders: CacheFolders
    jobs: int
    known: KnownContents
    observe: ReadObserver
    _waiting: list[_Arrival] = field(default_factory=list)
    _ahead: dict[str, Future[_Arrival | MonobaseError]] = field(default_factory=dict)

    def read_ahead(self, wheel: LockedWheel, readers: ThreadPoolExecutor) -> None:
        """Begin to read a wheel that is in uv's cache, while its call of uv goes on.

        uv gives an archive its name when it is complete, so that what `find_archive` finds can be read.

        Args:
            wheel: The wheel. `take` or `forget` is called with it after the readers have ended.
            readers: The threads to read in.
        """
        self._ahead[wheel.sha256] = readers.submit(self._inventory, wheel)

    def forget(self, wheel: LockedWheel) -> None:
        """Forget a wheel that was read ahead, and is not used."""
        self._ahead.pop(wheel.sha256, None)

    def take(self, wheels: Iterable[LockedWheel], failures: dict[str, MonobaseError]) -> set[str]:
        """Take the inventories of those wheels that are in uv's cache.

        Args:
            wheels: The wheels that a call requested.
            failures: The error of each wheel that is not what its lock names is added; the wheel is dropped.

        Returns:
            Digests of the wheels whose inventories were taken.
        """
        arrived = [wheel for wheel in wheels if find_archive(self.prefix.uv_cache, wheel) is not None]
        taken = set()
        with ThreadPoolExecutor(self.jobs) as pool:
            for wheel, outcome in zip(arrived, pool.map(self._taken, arrived), strict=True):
                if isinstance(outcome, MonobaseError):
                    failures[wheel.sha256] = outcome
                    drop_wheel(self.prefix.uv_cache, wheel)
                else:
                    self._waiting.append(outcome)
                    taken.add(wheel.sha256)
        if sum(len(arrival.inventory.files) for arrival in self._waiting) > _KEEP_FILES:
            self.keep()
        return taken

    def has(self, sha256: str) -> bool:
        """Return whether the inventory of a wheel was taken and is not kept yet."""
        return any(arrival.wheel.sha256 == sha256 for arrival in self._waiting)

    def keep(self) -> None:
        """Link equal files to those of other wheels, and make the inventories durable.

        Not after each call of uv: a sync waits for everything that is being written to the disk.
        """
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        # An inventory stands for the archive, which must survive a power loss before the inventory exists.
        sync_filesystem(self.prefix.root)
        fault_point("fetch:synced")
        with ThreadPoolExecutor(self.jobs) as pool:
            list(pool.map(self._share, waiting))
        for arrival in waiting:
            self.folders.adopt(self.prefix.uv_cache, arrival.wheel)
            keep_inventory(self.prefix, arrival.inventory, arrival.staged)
        sync_directory(self.prefix.wheels)
        fault_point("fetch:kept")

    def _taken(self, wheel: LockedWheel) -> _Arrival | MonobaseError:
        ahead = self._ahead.pop(wheel.sha256, None)
        return self._inventory(wheel) if ahead is None or ahead.cancelled() else ahead.result()

    def _inventory(self, wheel: LockedWheel) -> _Arrival | MonobaseError:
        try:
            archive = fetched_archive(self.prefix.uv_cache, wheel)
            inventory = take_inventory(archive, wheel, self.known)
            check_against_held(self.prefix, inventory, wheel)
            # A wrong hash in RECORD is the author's and no error; a missing RECORD is one.
            record_differences(archive, inventory, wheel)
        except MonobaseError as error:
            return error
        for file in inventory.files:
            if file.size_bytes >= _LARGE_BYTES:
                begin_to_write(f"{archive}/{file.path}")
        staged = temporary_path(self.prefix.staging)
        write_inventory(inventory, staged)
        self.observe(wheel, archive, inventory)
        return _Arrival(wheel, archive, inventory, staged)

    def _share(self, arrival: _Arrival) -> None:
        for file in arrival.inventory.files:
            path = f"{arrival.archive}/{file.path}"
            if self.store.adopt(path, file.sha256, os.lstat(path)) == "linked":
                self.known.record(os.lstat(path), file.sha256)  # `adopt` compared the two files
