"""Stage 2, fetch: bring each missing wheel into uv's cache, exactly once.

Two uv processes that need the same uncached wheel both download and unpack it, and one process cannot
take two versions of a package. So each wheel is given to exactly one call, and there are as few calls as
versions and indexes allow.
"""

import os
import re
import shutil
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from daemon.content_store import ContentStore
from daemon.durability import sync_directory, sync_filesystem
from daemon.errors import (
    IndexAccessError,
    IndexUnreachableError,
    NotOnIndexError,
    PrefixError,
    WheelContentError,
)
from daemon.fault import fault_point
from daemon.interpreter import Interpreter
from daemon.inventory import (
    Inventory,
    check_against_held,
    keep_inventory,
    record_differences,
    take_inventory,
    temporary_path,
    write_inventory,
)
from daemon.known_contents import KnownContents
from daemon.plan import WheelToFetch
from daemon.prefix import Prefix
from daemon.progress import Stage
from daemon.uv import Uv
from daemon.uv_cache import drop_wheel, find_archive
from gens.errors import MonobaseError
from gens.lock import LockedWheel

_POLL_S = 0.3
_KEEP_FILES = 30_000
_ESCAPING = re.compile(r"Skipping unsafe file name: (?P<path>.+)")


@dataclass(slots=True)
class FetchCall:
    """The wheels that one uv call brings.

    Attributes:
        index_url: Index that serves them; None for the default index.
        platform: Target platform in uv's words.
        python: Full Python version that all of them are for.
        items: The wheels, by name of the package.
        refresh: Whether uv asks the index anew for what it has of these packages.
    """

    index_url: str | None
    platform: str
    python: str
    items: dict[str, WheelToFetch] = field(default_factory=dict)
    refresh: bool = False

    def takes(self, item: WheelToFetch) -> bool:
        """Tell whether the wheel can join."""
        return (
            self.index_url == item.index_url
            and self.platform == item.platform
            and self.python in item.pythons
            and item.wheel.name not in self.items
        )


def group_calls(items: Iterable[WheelToFetch]) -> list[FetchCall]:
    """Share wheels out among as few calls as can be, each wheel to one.

    Args:
        items: The wheels.

    Returns:
        The calls.
    """
    calls: list[FetchCall] = []
    # Those that suit one Python only decide which calls there must be; the others join them.
    for item in sorted(items, key=lambda item: (len(item.pythons), item.wheel.name, item.wheel.version)):
        call = next((call for call in calls if call.takes(item)), None)
        if call is None:
            call = FetchCall(item.index_url, item.platform, item.pythons[0])
            calls.append(call)
        call.items[item.wheel.name] = item
    return calls


@dataclass(slots=True)
class Fetcher:
    """What fetching needs to know.

    Attributes:
        prefix: The prefix.
        uv: How to run uv.
        store: Where contents are shared.
        interpreter: Any interpreter; uv wants one.
        jobs: How many wheels are read at once.
        known: What this run has read.
        taken: Archive, inventory and the file of the inventory, of what arrived and is not kept yet.
        unreachable: The indexes where no host answered, by URL; they are not asked again.
    """

    prefix: Prefix
    uv: Uv
    store: ContentStore
    interpreter: Interpreter
    jobs: int
    known: KnownContents
    taken: list[tuple[Path, Inventory, Path]] = field(default_factory=list)
    unreachable: dict[str | None, MonobaseError] = field(default_factory=dict)

    def fetch(self, items: Sequence[WheelToFetch], stage: Stage) -> dict[str, MonobaseError]:
        """Bring wheels into the cache, and take the inventory of each.

        One wheel that cannot be had does not keep the others away.

        Args:
            items: The wheels.
            stage: Advanced by the bytes of each wheel that arrived.

        Returns:
            The failures, by digest of the wheel.

        Raises:
            DiskError: The disk cannot hold them.
        """
        failures: dict[str, MonobaseError] = {}
        for call in group_calls(items):
            self._run_to_the_end(call, stage, failures)
        self._keep()
        return failures

    def _run_to_the_end(self, call: FetchCall, stage: Stage, failures: dict[str, MonobaseError]) -> None:
        self._drop_damaged_leftovers(call)
        failure = self.unreachable.get(call.index_url) or self._run(call, stage)
        arrived = self._take(call, failures)
        missing = [item for item in call.items.values() if item.wheel.sha256 not in arrived | failures.keys()]
        if failure is None and missing:
            failure = IndexAccessError(
                f"uv installed {_names(missing)} without keeping it in its cache: the index forbids it "
                "(Cache-Control: no-store); name the index with --index-url, and it is kept"
            )
        if failure is None or not missing:
            return  # a uv that failed, or was ended, when it had brought them all has done what it was for
        if isinstance(failure, IndexUnreachableError):
            failures.update((item.wheel.sha256, failure) for item in missing)
            self.unreachable[call.index_url] = failure
            return
        if len(call.items) == 1:
            if isinstance(failure, NotOnIndexError) and not call.refresh:
                # A page of the index in uv's cache may be older than the lock.
                call.refresh = True
                self._run_to_the_end(call, stage, failures)
            else:
                failures[missing[0].wheel.sha256] = failure
            return
        # One of them ended the call for all: each alone, so that it is known which, and the others arrive.
        for item in missing:
            single = FetchCall(call.index_url, call.platform, call.python, {item.wheel.name: item})
            self._run_to_the_end(single, stage, failures)

    def _run(self, call: FetchCall, stage: Stage) -> MonobaseError | None:
        target = temporary_path(self.prefix.staging)
        requirements = target.with_suffix(".txt")
        requirements.write_text(format_requirements(item.wheel for item in call.items.values()))
        over = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(call, stage, over), daemon=True)
        watcher.start()
        try:
            output = self.uv.run(
                "pip", "install", "--target", target, "--python", self.interpreter.executable,
                "--python-version", call.python, "--python-platform", call.platform,
                "--no-deps", "--require-hashes", "--no-build",
                *(option for name in call.items if call.refresh for option in ("--refresh-package", name)),
                *self.uv.index_options(call.index_url, self.prefix.staging), "-r", requirements,
                variables={"RUST_LOG": "uv_extract=warn"},
            )  # fmt: skip
            escaping = _ESCAPING.search(output.stderr)
            if escaping is not None:
                return self._refuse(call, escaping["path"])
        except PrefixError:
            raise
        except MonobaseError as error:
            return error
        finally:
            over.set()
            watcher.join()
            fault_point("fetch:call")
            shutil.rmtree(target, ignore_errors=True)
        return None

    def _refuse(self, call: FetchCall, path: str) -> MonobaseError:
        """Drop the wheels of a call, one of which tried to leave its folder; uv only leaves it out."""
        for item in call.items.values():
            drop_wheel(self.prefix.uv_cache, item.wheel)
        return WheelContentError(
            f"{_names(call.items.values())}: holds {path!r}, which leaves the folder that it is installed "
            "to; such a wheel is not installed"
        )

    def _watch(self, call: FetchCall, stage: Stage, over: threading.Event) -> None:
        pending = {item.wheel for item in call.items.values()}
        while pending:
            ended = over.wait(_POLL_S)
            for wheel in list(pending):
                if find_archive(self.prefix.uv_cache, wheel) is not None:
                    pending.discard(wheel)
                    stage.advance(wheel.size_bytes)
            if ended:
                return

    def _drop_damaged_leftovers(self, call: FetchCall) -> None:
        """Drop what an install that was ended left in the cache, and what does not match its own RECORD.

        It may be cut by a power loss, or a file may lack that was about to be shared. A wheel whose author
        wrote a wrong RECORD is brought once more, then; one that arrives in this run is taken as it is.
        """
        for item in call.items.values():
            archive = find_archive(self.prefix.uv_cache, item.wheel)
            if archive is None:
                continue
            try:
                inventory = take_inventory(archive, item.wheel)
                damaged = bool(record_differences(archive, inventory, item.wheel))
            except WheelContentError:
                damaged = True
            if damaged:
                drop_wheel(self.prefix.uv_cache, item.wheel)

    def _take(self, call: FetchCall, failures: dict[str, MonobaseError]) -> set[str]:
        """Take the inventories of the wheels that arrived."""
        arrived = [
            item for item in call.items.values() if find_archive(self.prefix.uv_cache, item.wheel) is not None
        ]
        taken = set()
        with ThreadPoolExecutor(self.jobs) as pool:
            outcomes = pool.map(lambda item: self._inventory(item.wheel), arrived)
            for item, outcome in zip(arrived, outcomes, strict=True):
                if isinstance(outcome, MonobaseError):
                    failures[item.wheel.sha256] = outcome
                    drop_wheel(self.prefix.uv_cache, item.wheel)
                    continue
                staged = temporary_path(self.prefix.staging)
                write_inventory(outcome[1], staged)
                self.taken.append((*outcome, staged))
                taken.add(item.wheel.sha256)
        if sum(len(inventory.files) for _, inventory, _ in self.taken) > _KEEP_FILES:
            self._keep()
        return taken

    def _keep(self) -> None:
        """Let what arrived share what other wheels have, and make the inventories durable.

        Not after each call: a sync waits for all that is being written to the disk.
        """
        if not self.taken:
            return
        taken, self.taken = self.taken, []
        # An inventory vouches for the archive, which must outlive a power loss before the inventory stands.
        sync_filesystem(self.prefix.root)
        fault_point("fetch:synced")
        with ThreadPoolExecutor(self.jobs) as pool:
            list(pool.map(lambda entry: share_archive(self.store, entry[0], entry[1], self.known), taken))
        for _, inventory, staged in taken:
            keep_inventory(self.prefix, inventory, staged)
        sync_directory(self.prefix.wheels)
        fault_point("fetch:kept")

    def _inventory(self, wheel: LockedWheel) -> tuple[Path, Inventory] | MonobaseError:
        try:
            archive = self._archive(wheel)
            inventory = take_inventory(archive, wheel, self.known)
            check_against_held(self.prefix, inventory, wheel)
            record_differences(
                archive, inventory, wheel
            )  # a wrong hash is its author's, a missing RECORD is an error
        except MonobaseError as error:
            return error
        return archive, inventory

    def _archive(self, wheel: LockedWheel) -> Path:
        archive = find_archive(self.prefix.uv_cache, wheel)
        if archive is None:
            raise WheelContentError(f"{wheel.filename}: uv did not keep it in its cache")
        return archive


def share_archive(
    store: ContentStore, archive: Path, inventory: Inventory, known: KnownContents | None = None
) -> None:
    """Let the files of an unpacked wheel be the inodes that other wheels already brought.

    Args:
        store: The contents of the prefix.
        archive: The folder of the archive.
        inventory: What it holds.
        known: Where it is remembered what was read: files were compared with the inodes that they share now.
    """
    for file in inventory.files:
        path = f"{archive}/{file.path}"
        if store.adopt(path, file.sha256, os.lstat(path)) == "linked" and known is not None:
            known.record(os.lstat(path), file.sha256)


def _names(items: Iterable[WheelToFetch]) -> str:
    return ", ".join(item.wheel.filename for item in items)


def format_requirements(wheels: Iterable[LockedWheel]) -> str:
    """Write the requirements file of one uv call."""
    return "".join(f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n" for wheel in wheels)
