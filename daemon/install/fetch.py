"""Stage 2, fetch: bring each missing wheel into uv's cache, exactly once.

Two uv processes that need the same uncached wheel both download and unpack it, and one process cannot
take two versions of a package. So each wheel is given to exactly one call, and there are as few calls as
versions and indexes allow.
"""

import os
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from daemon.errors import (
    IndexAccessError,
    IndexUnreachableError,
    NotOnIndexError,
    PrefixError,
    SlowIndexError,
    UvConfigurationError,
    WheelContentError,
)
from daemon.host.durability import sync_directory, sync_filesystem
from daemon.host.fault import fault_point
from daemon.host.known_contents import KnownContents
from daemon.install.lock_index import CacheFolders
from daemon.install.plan import WheelToFetch
from daemon.interpreters.running_interpreter import Interpreter
from daemon.prefix.content_store import ContentStore
from daemon.prefix.inventory import (
    Inventory,
    check_against_held,
    inventory_path,
    keep_inventory,
    record_differences,
    take_inventory,
    write_inventory,
)
from daemon.prefix.prefix import Prefix
from daemon.prefix.staging import discard, temporary_path
from daemon.report.progress import Stage
from daemon.uv.cache import drop_wheel, find_archive, in_the_way
from daemon.uv.call_log import begin_log, read_log, remove_logs, trusted_wheels
from daemon.uv.program import Uv
from gens.errors import MonobaseError
from gens.lock import LockedWheel

_POLL_S = 0.3
_KEEP_FILES = 30_000
_CALLS_AT_ONCE = 8  # they wait for the network


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

    def alone(self, item: WheelToFetch) -> "FetchCall":
        """Give a call that brings one of the wheels."""
        return FetchCall(self.index_url, self.platform, self.python, {item.wheel.name: item})

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


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What came of one call.

    Attributes:
        failure: Why uv failed; None when it did not.
        asked: What uv was to bring; the others are there.
        unsafe: Names of members that uv left out, as they leave the folder of their wheel.
    """

    failure: MonobaseError | None
    asked: tuple[WheelToFetch, ...] = ()
    unsafe: tuple[str, ...] = ()


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
        unreachable: Indexes that are not asked again, by URL: no host answers, or uv refuses its settings.
        trusted: Digests of wheels that a killed run may have brought, of which uv left nothing out.
    """

    prefix: Prefix
    uv: Uv
    store: ContentStore
    interpreter: Interpreter
    jobs: int
    known: KnownContents
    taken: list[tuple[LockedWheel, Path, Inventory, Path]] = field(default_factory=list)
    unreachable: dict[str | None, MonobaseError] = field(default_factory=dict)
    trusted: frozenset[str] = frozenset()

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
        if not items:
            return {}
        failures: dict[str, MonobaseError] = {}
        self.trusted = trusted_wheels(self.prefix)
        for call in group_calls(items):
            outcome = self._try(call, stage)
            missing = self._missing(call, outcome, failures)
            if missing and len(call.items) > 1:
                # One of them ended it for all: each alone, so that it is known which, and the others arrive.
                self._try_each([call.alone(item) for item in missing], stage, failures)
            elif missing:
                self._settle(call, outcome, stage, failures)
        self._keep()
        remove_logs(self.prefix)
        return failures

    def _try_each(self, calls: Sequence[FetchCall], stage: Stage, failures: dict[str, MonobaseError]) -> None:
        """Bring wheels by a call each, some at once: one that drips keeps the others waiting otherwise."""
        with ThreadPoolExecutor(_CALLS_AT_ONCE) as pool:
            try:
                futures = [(call, pool.submit(self._try, call, stage)) for call in calls]
                outcomes = [(call, future.result()) for call, future in futures]
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                self.uv.end_all()
                raise
        for call, outcome in outcomes:
            if self._missing(call, outcome, failures):
                self._settle(call, outcome, stage, failures)

    def _settle(
        self, call: FetchCall, outcome: _Outcome, stage: Stage, failures: dict[str, MonobaseError]
    ) -> None:
        """Say why the one wheel of a call did not come; where the index may have it since, ask once more."""
        (item,) = call.items.values()
        if isinstance(outcome.failure, NotOnIndexError) and not call.refresh:
            # A page of the index in uv's cache may be older than the lock.
            call.refresh = True
            outcome = self._try(call, stage)
            if not self._missing(call, outcome, failures):
                return
        failure = outcome.failure or IndexAccessError(
            f"uv installed {item.wheel.filename} without keeping it in its cache: the index forbids it "
            "(Cache-Control: no-store); name the index with --index-url, and it is kept"
        )
        if isinstance(failure, SlowIndexError):
            failure = SlowIndexError(f"{item.wheel.filename}: {failure}")
        failures[item.wheel.sha256] = failure

    def _missing(
        self, call: FetchCall, outcome: _Outcome, failures: dict[str, MonobaseError]
    ) -> list[WheelToFetch]:
        """Take what a call brought, and give the wheels that are to be told of or tried again."""
        if outcome.unsafe:
            again = self._refuse(outcome.asked, outcome.unsafe[0], failures)
            self._take(call, failures)
            return again
        arrived = self._take(call, failures)
        missing = [item for item in call.items.values() if item.wheel.sha256 not in arrived | failures.keys()]
        if missing and isinstance(outcome.failure, IndexUnreachableError | UvConfigurationError):
            failures.update((item.wheel.sha256, outcome.failure) for item in missing)
            self.unreachable[call.index_url] = outcome.failure
            return []
        # A uv that failed, or was ended, when it had brought them all has done what it was for.
        return missing

    def _refuse(
        self, asked: Sequence[WheelToFetch], path: str, failures: dict[str, MonobaseError]
    ) -> list[WheelToFetch]:
        """Drop the wheels of a call, one of which tried to leave its folder; uv only leaves the member out.

        Which of several it was, uv does not say: they are to be brought each alone.
        """
        for item in asked:
            drop_wheel(self.prefix.uv_cache, item.wheel)
        if len(asked) > 1:
            return list(asked)
        failures[asked[0].wheel.sha256] = WheelContentError(
            f"{asked[0].wheel.filename}: holds {path!r}, which leaves the folder that it is installed to; "
            "such a wheel is not installed"
        )
        return []

    def _try(self, call: FetchCall, stage: Stage) -> _Outcome:
        asked = tuple(item for item in call.items.values() if not self._stands(item.wheel))
        failure = self.unreachable.get(call.index_url)
        if not asked or failure is not None:
            return _Outcome(failure if asked else None)
        target = temporary_path(self.prefix.staging)
        requirements = target.with_suffix(".txt")
        requirements.write_text(format_requirements(item.wheel for item in asked))
        log = begin_log(self.prefix, (item.wheel for item in asked))
        over = threading.Event()
        watcher = threading.Thread(target=self._watch, args=(call, stage, over), daemon=True)
        watcher.start()
        try:
            self.uv.reach(
                "pip", "install", "--target", target, "--python", self.interpreter.executable,
                "--python-version", call.python, "--python-platform", call.platform,
                "--no-deps", "--require-hashes", "--no-build",
                *(option for name in call.items if call.refresh for option in ("--refresh-package", name)),
                "-r", requirements,
                index_url=call.index_url, variables={"RUST_LOG": "uv_extract=warn"}, log=log,
            )  # fmt: skip
        except PrefixError:
            raise
        except MonobaseError as error:
            failure = error
        finally:
            over.set()
            watcher.join()
            fault_point("fetch:call")
            discard(target)
        return _Outcome(failure, asked, read_log(log).unsafe)

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

    def _stands(self, wheel: LockedWheel) -> bool:
        """Tell whether the cache has a wheel that may be built on; what it has of it else is dropped.

        What an install that was ended left may be cut by a power loss, or a file may lack that was about to
        be shared; and what another uv has brought may lack what that one left out. A wheel whose author wrote
        a wrong RECORD is brought once more, then; one that arrives in this run is taken as it is.
        """
        cache = self.prefix.uv_cache
        for other in in_the_way(cache, wheel):
            examined = inventory_path(self.prefix, other.sha256).exists() or any(
                taken.sha256 == other.sha256 for taken, *_ in self.taken
            )
            if examined:
                self._folders.adopt(cache, other)
            else:
                drop_wheel(cache, other)
        archive = find_archive(cache, wheel)
        if archive is None:
            return False
        if self._is_sound(archive, wheel):
            return True
        drop_wheel(cache, wheel)
        return False

    def _is_sound(self, archive: Path, wheel: LockedWheel) -> bool:
        if wheel.sha256 not in self.trusted and not self._folders.hold(self.prefix.uv_cache, wheel):
            return False
        try:
            inventory = take_inventory(archive, wheel)
            return not record_differences(archive, inventory, wheel)
        except WheelContentError:
            return False

    @property
    def _folders(self) -> CacheFolders:
        return CacheFolders(self.uv, self.interpreter.executable)

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
                self.taken.append((item.wheel, *outcome, staged))
                taken.add(item.wheel.sha256)
        if sum(len(inventory.files) for _, _, inventory, _ in self.taken) > _KEEP_FILES:
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
            list(pool.map(lambda entry: share_archive(self.store, entry[1], entry[2], self.known), taken))
        for wheel, _, inventory, staged in taken:
            self._folders.adopt(self.prefix.uv_cache, wheel)
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


def format_requirements(wheels: Iterable[LockedWheel]) -> str:
    """Write the requirements file of one uv call."""
    return "".join(f"{wheel.name}=={wheel.version} --hash=sha256:{wheel.sha256}\n" for wheel in wheels)
