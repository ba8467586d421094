"""Stage 2, fetch: downloads each missing wheel into uv's cache, exactly once.

One bad wheel fails a whole call of uv. The wheels that did not arrive are then requested one by one, to find
the bad one and to fetch the others.
"""

import functools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass, field, replace
from pathlib import Path

from daemon.errors import (
    IndexAccessError,
    IndexUnreachableError,
    NotOnIndexError,
    PrefixError,
    SlowIndexError,
    SourceError,
    UvConfigurationError,
    WheelContentError,
)
from daemon.host.fault import fault_point
from daemon.host.known_contents import KnownContents
from daemon.install.arrivals import Arrivals, ReadObserver
from daemon.install.cache_folders import CacheFolders
from daemon.install.download_end import DownloadEnd
from daemon.install.fetch_call import FetchCall, divide_call, format_requirements, group_calls
from daemon.install.wanted import WheelToFetch
from daemon.interpreters.running_interpreter import Interpreter
from daemon.prefix.content_store import ContentStore
from daemon.prefix.inventory import Inventory, inventory_path, record_differences, take_inventory
from daemon.prefix.prefix import Prefix
from daemon.prefix.staging import discard, temporary_path
from daemon.report.progress import Stage
from daemon.source.body import Source
from daemon.source.failure import joined_failures
from daemon.source.source_index import SourceIndex
from daemon.uv.cache import drop_wheel, find_archive, in_the_way
from daemon.uv.call_log import begin_log, read_log, remove_logs, trusted_wheels
from daemon.uv.program import Uv
from gens.errors import MonobaseError
from gens.lock import LockedWheel

_POLL_S = 0.3
_LAST_POLL_S = 0.05  # a look takes a millisecond for each wheel that is not there yet
_LAST_WHEELS = 5
_CALLS_AT_ONCE = 8  # they wait for the network


class FetchStoppedError(PrefixError):
    """The install ends for another reason, which is reported."""

    def __init__(self) -> None:
        super().__init__("the install ended while wheels were fetched")


@dataclass(frozen=True, slots=True)
class _Outcome:
    """The outcome of one call.

    Attributes:
        failure: The failure of uv; None when it succeeded.
        asked: The wheels that uv was to download; the cache had the others.
        unsafe: Names of members that uv left out, as they leave the folder of their wheel.
    """

    failure: MonobaseError | None
    asked: tuple[WheelToFetch, ...] = ()
    unsafe: tuple[str, ...] = ()


def _ignore(_wheel: LockedWheel, _archive: Path, _inventory: Inventory) -> None:
    """Do nothing with a wheel that was read."""


def _all_of(*called: Callable[[int], None] | None) -> Callable[[int], None] | None:
    """Return a function that calls several ones; None if there is none."""
    present = [each for each in called if each is not None]

    def call(count: int) -> None:
        for each in present:
            each(count)

    return call if present else None


@dataclass(slots=True)
class Fetcher:
    """Downloads missing wheels into uv's cache.

    Attributes:
        prefix: The prefix.
        uv: Runs uv.
        store: The contents that wheels share.
        interpreter: Any interpreter: uv needs one.
        jobs: Number of wheels to read at once.
        known: The contents that the run has read.
        observe: Called with each wheel that was read; several threads call it.
        arrivals: The wheels that arrived.
        unreachable: Failures of indexes that are not tried again, by URL.
        trusted: Digests of wheels of a killed run, of which uv left no member out.
        stopped: Set when no further call of uv may begin, as the install ends.
        sources: The sources that wheels come from, as an index; None for the index of each lock.
    """

    prefix: Prefix
    uv: Uv
    store: ContentStore
    interpreter: Interpreter
    jobs: int
    known: KnownContents
    observe: ReadObserver = _ignore
    sources: SourceIndex | None = None
    arrivals: Arrivals = field(init=False)
    unreachable: dict[str | None, MonobaseError] = field(default_factory=dict)
    trusted: frozenset[str] = frozenset()
    stopped: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        """Begin without arrivals."""
        self.arrivals = Arrivals(self.prefix, self.store, self._folders, self.jobs, self.known, self.observe)

    def fetch(self, items: Sequence[WheelToFetch], stage: Stage) -> dict[str, MonobaseError]:
        """Download wheels into the cache, and take the inventory of each.

        The failure of one wheel does not affect the others.

        Args:
            items: The wheels.
            stage: Advanced by the bytes of each wheel that arrived.

        Returns:
            The failures by digest of the wheel.

        Raises:
            DiskError: The disk cannot hold them.
        """
        if not items:
            return {}
        self.trusted = trusted_wheels(self.prefix)
        failures: dict[str, MonobaseError] = {}
        for way in (None,) if self.sources is None else self.sources.ways:
            left = [item for item in items if not failures or item.wheel.sha256 in failures]
            failures = self._fetch_by(way, left, stage, failures)
            if not failures:
                break
        self.arrivals.keep()
        remove_logs(self.prefix)
        return failures

    def _fetch_by(
        self,
        way: tuple[Source, ...] | None,
        items: Sequence[WheelToFetch],
        stage: Stage,
        before: dict[str, MonobaseError],
    ) -> dict[str, MonobaseError]:
        """Download wheels from some sources, or from the indexes of their locks.

        Args:
            way: The sources; None for the indexes.
            items: The wheels.
            stage: Advanced by the bytes of each wheel that arrived.
            before: Why they did not come by other ways, by digest.

        Returns:
            The failures by digest of the wheel.
        """
        failures: dict[str, MonobaseError] = {}
        for call in group_calls(items if way is None else [replace(item, index_url=None) for item in items]):
            call.sources = way
            for part, outcome in self._try_parts(call, stage):
                missing = self._missing(part, outcome, failures)
                if missing and len(part.items) > 1:
                    self._find_wrong_source(outcome, missing)
                    self._try_each([part.alone(item) for item in missing], stage, failures)
                elif missing:
                    self._settle(part, outcome, stage, failures)
        return {sha256: joined_failures(before.get(sha256), failure) for sha256, failure in failures.items()}

    def _try_parts(self, call: FetchCall, stage: Stage) -> Iterator[tuple[FetchCall, _Outcome]]:
        """Run the parts of a call, and yield each with its outcome.

        The second part begins when the first no longer makes use of the network, and goes on while the first
        is taken in: its files are synced and shared meanwhile.
        """
        parts = divide_call(call)
        if len(parts) == 1:
            yield call, self._try(call, stage)
            return
        first, second = parts
        end = DownloadEnd(sum(item.wheel.size_bytes for item in first.items.values()))
        with self.uv.pool(len(parts)) as pool:
            one = pool.submit(self._try, first, stage, end)
            one.add_done_callback(lambda _: end.near.set())
            end.near.wait()
            if one.done():
                self._note_unreachable(first, one.result())
            other = pool.submit(self._try, second, stage)
            for future in wait((one, other), return_when=FIRST_COMPLETED).done:
                future.result()  # a full disk ends both
            yield first, one.result()
            self.arrivals.keep()
            yield second, other.result()

    def _find_wrong_source(self, outcome: _Outcome, missing: Iterable[WheelToFetch]) -> None:
        """Find whether a source sent a wrong copy of the wheel that uv could not unpack."""
        for item in missing:
            if self.sources is not None and item.wheel.filename in str(outcome.failure):
                self.sources.finds_wrong(item.wheel.sha256)

    def _try_each(self, calls: Sequence[FetchCall], stage: Stage, failures: dict[str, MonobaseError]) -> None:
        """Run a call for each wheel, several at once: a slow one would keep the others waiting."""
        with self.uv.pool(_CALLS_AT_ONCE) as pool:
            futures = [(call, pool.submit(self._try, call, stage)) for call in calls]
            outcomes = [(call, future.result()) for call, future in futures]
        for call, outcome in outcomes:
            if self._missing(call, outcome, failures):
                self._settle(call, outcome, stage, failures)

    def _settle(
        self, call: FetchCall, outcome: _Outcome, stage: Stage, failures: dict[str, MonobaseError]
    ) -> None:
        """Note the failure of a call's only wheel, after a second try where uv's page may be outdated."""
        (item,) = call.items.values()
        if self.sources is not None and call.sources is not None:
            while outcome.failure is not None and self.sources.finds_wrong(item.wheel.sha256):
                outcome = self._try(call, stage)  # of another source: each can be found wrong once
                if not self._missing(call, outcome, failures):
                    return
            failures[item.wheel.sha256] = (
                self.sources.failure_of(item.wheel.sha256)
                or outcome.failure
                or SourceError(f"{item.wheel.filename}: did not arrive; run the same command again")
            )
            return
        if isinstance(outcome.failure, NotOnIndexError) and not call.refresh:
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
        """Take the inventories of what arrived, and return the wheels without inventory and failure."""
        if outcome.unsafe:
            again = self._refuse(outcome.asked, outcome.unsafe[0], failures)
            self._take(call, failures)
            return again
        arrived = self._take(call, failures)
        missing = [item for item in call.items.values() if item.wheel.sha256 not in arrived | failures.keys()]
        failure = self._note_unreachable(call, outcome) if missing else None
        if failure is not None:
            failures.update((item.wheel.sha256, failure) for item in missing)
            return []
        return missing  # none, although uv failed, where all wheels had arrived

    def _note_unreachable(self, call: FetchCall, outcome: _Outcome) -> MonobaseError | None:
        """Note that no further call need ask an index, and return why; None if that is not so."""
        if call.sources is None and isinstance(outcome.failure, IndexUnreachableError | UvConfigurationError):
            self.unreachable[call.index_url] = outcome.failure
            return outcome.failure
        return None

    def _refuse(
        self, asked: Sequence[WheelToFetch], path: str, failures: dict[str, MonobaseError]
    ) -> list[WheelToFetch]:
        """Drop the wheels of a call in which uv left out a member that leaves its folder.

        uv does not report whose member it was: several wheels are returned, to be downloaded one by one.
        """
        for item in asked:
            self.arrivals.forget(item.wheel)
            drop_wheel(self.prefix.uv_cache, item.wheel)
        if len(asked) > 1:
            return list(asked)
        failures[asked[0].wheel.sha256] = WheelContentError(
            f"{asked[0].wheel.filename}: holds {path!r}, which leaves the folder that it is installed to; "
            "such a wheel is not installed"
        )
        return []

    def _try(self, call: FetchCall, stage: Stage, end: DownloadEnd | None = None) -> _Outcome:
        asked = tuple(item for item in call.items.values() if not self._is_usable(item.wheel))
        failure = self.unreachable.get(call.index_url) if call.sources is None else None
        if self.stopped.is_set():
            raise FetchStoppedError
        if not asked or failure is not None:
            return _Outcome(failure if asked else None)
        target = temporary_path(self.prefix.staging)
        requirements = target.with_suffix(".txt")
        requirements.write_text(format_requirements(item.wheel for item in asked))
        log = begin_log(self.prefix, (item.wheel for item in asked))
        over, abandoned = threading.Event(), threading.Event()
        watcher = threading.Thread(
            target=self._watch, args=(call, asked, stage, over, abandoned), daemon=True
        )
        watcher.start()
        try:
            report = _all_of(
                None if end is None else end.received,
                stage.watch_call and functools.partial(stage.watch_call, target.name),
            )
            self._run(call, (item.wheel for item in asked), target, requirements, log, report)
            if end is not None:
                end.near.set()  # before its wheels are read
        except BaseException as error:
            if not isinstance(error, MonobaseError) or isinstance(error, PrefixError):
                abandoned.set()
                raise
            failure = error
        finally:
            over.set()
            watcher.join()
            fault_point("fetch:call")
            discard(target)
        return _Outcome(failure, asked, read_log(log).unsafe)

    def _run(
        self,
        call: FetchCall,
        wheels: Iterable[LockedWheel],
        target: Path,
        requirements: Path,
        log: Path,
        received: Callable[[int], None] | None,
    ) -> None:
        """Run uv for a call: against the sources, or with the machine's configuration."""
        arguments: tuple[str | Path, ...] = (
            "pip", "install", "--target", target, "--python", self.interpreter.executable,
            "--python-version", call.python, "--python-platform", call.platform,
            "--no-deps", "--require-hashes", "--no-build",
            *(option for name in call.items if call.refresh for option in ("--refresh-package", name)),
            "-r", requirements,
        )  # fmt: skip
        variables = {"RUST_LOG": "uv_extract=warn"}
        if self.sources is None or call.sources is None:
            self.uv.reach(
                *arguments, index_url=call.index_url, variables=variables, log=log, received=received
            )
            return
        with self.sources.offer(wheels, call.sources):
            self.uv.reach_loopback(
                *arguments, configuration=self.sources.configuration,
                variables=self.sources.variables | variables, log=log, received=received,
            )  # fmt: skip

    def _watch(
        self,
        call: FetchCall,
        asked: Sequence[WheelToFetch],
        stage: Stage,
        over: threading.Event,
        abandoned: threading.Event,
    ) -> None:
        """Read each wheel as soon as uv has unpacked it, while the others are on their way."""
        pending = {item.wheel for item in call.items.values()}
        new = {item.wheel for item in asked}
        with ThreadPoolExecutor(self.jobs) as readers:
            while pending:
                ended = over.wait(_POLL_S if len(pending) > _LAST_WHEELS else _LAST_POLL_S)
                for wheel in list(pending):
                    if find_archive(self.prefix.uv_cache, wheel) is not None:
                        pending.discard(wheel)
                        if self.sources is not None:
                            self.sources.arrived(wheel)
                        stage.advance(wheel.size_bytes)
                        if wheel in new:
                            self.arrivals.read_ahead(wheel, readers)
                if ended:
                    break
            if abandoned.is_set():
                readers.shutdown(wait=False, cancel_futures=True)

    def _is_usable(self, wheel: LockedWheel) -> bool:
        """Return whether the cache has a wheel that may be used; drop a copy that may not.

        An install that was ended may leave a copy that a power loss cut, or that lacks a file which was about
        to be shared; another uv may have left members out. RECORD tells such a copy from a sound one. (So a
        wheel whose author wrote a wrong RECORD is downloaded again; if it arrives in this run, it is used.)
        """
        cache = self.prefix.uv_cache
        for other in in_the_way(cache, wheel):
            if inventory_path(self.prefix, other.sha256).exists() or self.arrivals.has(other.sha256):
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
        return self.arrivals.take((item.wheel for item in call.items.values()), failures)
