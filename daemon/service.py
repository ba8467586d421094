"""Keep a node at its desired state: the loop of `run`.

Each round compares the prefix with what should be there, and does what is missing: restore what is damaged,
prune, install. What fails is told, and tried again after a growing delay; everything else goes on.
"""

import random
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from daemon.errors import DamageError, DiskError, InterpreterError
from daemon.feature_file import write_features
from daemon.install import InstallOptions, InstallResult, disk_errors, install
from daemon.interpreter import minor_of
from daemon.known_file import read_known, write_known
from daemon.metrics import Metrics
from daemon.prefix import Prefix
from daemon.progress import Reporter
from daemon.prune import clean_uv_cache, plan_prune, prune
from daemon.readiness import Readiness, read_readiness
from daemon.repair import repair
from daemon.scan import ScanInterruptedError, describe, scan
from daemon.service_lock import service_lock
from daemon.service_state import ServiceState, for_everybody, kind_of
from daemon.usage import read_usage
from daemon.verify import Finding, check_mark, count_differences
from gens.catalog import Catalog
from gens.errors import MonobaseError
from gens.generation import Generation


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """What an operator decides about the daemon.

    Attributes:
        install: About each install: the active range among it.
        prune_old_gen: Whether generations older than `--min-gen-id` are removed.
        clean_uv_cache: Whether uv's cache is emptied at the start.
        repair: Whether damage is restored.
        features_directory: node-feature-discovery's `features.d`, or None.
        check_interval_s: Time between two looks at marks and manifests.
        scan_interval_s: Time between two looks at every file's size, mode and time of change.
        verify_interval_s: Time between two readings of every file; 0 for never.
        retry_delay_s: Delay before the first retry, which doubles with each failure.
        max_retry_delay_s: The longest delay.
    """

    install: InstallOptions = field(default_factory=InstallOptions)
    prune_old_gen: bool = False
    clean_uv_cache: bool = False
    repair: bool = True
    features_directory: Path | None = None
    check_interval_s: float = 60.0
    scan_interval_s: float = 3600.0
    verify_interval_s: float = 604_800.0
    retry_delay_s: float = 5.0
    max_retry_delay_s: float = 600.0


class Service:
    """The daemon of one prefix."""

    def __init__(
        self,
        prefix: Prefix,
        load: Callable[[], Catalog],
        uv_program: Path,
        options: ServiceOptions,
        reporter: Reporter,
    ) -> None:
        self.state = ServiceState()
        self.stop = threading.Event()
        self.metrics = Metrics(prefix, self.state, self.readiness)
        self.prefix = prefix
        self.options = options
        self._load = load
        self._catalog = load()
        self._uv = uv_program
        self._reporter = reporter
        self._failed_in_a_row = 0
        self._scanned_s: float | None = None
        self._verified_s = time.monotonic()
        self._counted = False
        self._pruned: tuple[str, ...] | None = None
        self._was_ready: bool | None = None

    def readiness(self) -> Readiness:
        """Tell whether the node is ready, as the prefix is now."""
        options = self.options.install
        return read_readiness(
            self.prefix,
            self._catalog,
            options.min_gen_id,
            options.max_gen_id,
            self.state.known(),
            options.only,
        )

    def run(self) -> None:
        """Run until told to stop, or until something that no retry can help."""
        try:
            with disk_errors(self.prefix):
                self.prefix.make_directories()
            with service_lock(self.prefix, self.stop, self._wait_for_another) as held:
                if held:
                    self._loop()
        finally:
            self.state.alive = False

    def _loop(self) -> None:
        self.state.remember_damage(read_known(self.prefix).damage)
        if self.options.clean_uv_cache:
            self._guarded("clean", "uv/cache", self._clean)
        while not self.stop.is_set():
            self._guarded("check", "all", self._round)
            if self.stop.is_set():
                return  # what a round that was cut short has not seen is not told
            self._tell()
            self.state.activity = "idle"
            self.stop.wait(self._pause_s())

    def _round(self) -> None:
        self.state.activity = "checking"
        self._catalog = self._load()
        self._look_for_damage()
        self._prune()
        if self._may_install() and self._is_something_missing():
            self._install()
            self._look_for_damage()
            self._prune()
        if not self._counted:
            self.state.activity = "counting bytes"
            self.state.usage = read_usage(self.prefix)
            self._counted = True
        self.state.checked_s = time.time()
        if self.readiness().ready:
            self._failed_in_a_row = 0
            self.state.retry_s = None

    def _guarded(self, what: str, subject: str, work: Callable[[], None]) -> bool:
        """Do something that may fail without ending the daemon; whether it did not fail."""
        try:
            work()
        except ScanInterruptedError:
            return False
        except Exception as error:
            if not isinstance(error, MonobaseError):
                self._reporter.error(f"{what}: a fault of monobase itself:\n{traceback.format_exc()}")
            self._fail(what if subject == "all" else subject, error)
            if what in {"check", "repair"}:
                self._schedule_retry()
            return False
        return True

    def _fail(self, subject: str, error: BaseException) -> None:
        text = for_everybody(str(error) or type(error).__name__)
        self.metrics.failures.labels(kind_of(error)).inc()
        self.state.add_error(kind_of(error), subject, text)
        self._reporter.error(text, subject=subject, kind=kind_of(error))

    # --- damage ---

    def _look_for_damage(self) -> None:
        now = time.monotonic()
        options = self.options
        full = bool(options.verify_interval_s) and now - self._verified_s >= options.verify_interval_s
        due = self._scanned_s is None or now - self._scanned_s >= options.scan_interval_s
        marked: list[Finding] = []
        for generation in self._active():
            check_mark(self.prefix, generation.directory_name, marked)
        seen = bool(marked or self.state.damage)
        if not (full or due or seen):
            return
        self.state.activity = "verifying every file" if full else "looking for damage"
        before, first = self.state.damage, self._scanned_s is None
        found = self._scan(full=full)
        self._scanned_s = time.monotonic()
        if full:
            self._verified_s = self._scanned_s
        if found:
            if first or found != before:
                told = describe(found)
                error = DamageError(f"{count_differences(told)} from what was sealed, such as {told[0]}")
                self._fail(", ".join(found), error)
            self._tell()
            if options.repair and self._may_install():
                self._guarded("repair", ", ".join(found), lambda: self._repair(list(found)))

    def _scan(self, *, full: bool) -> dict[str, list[Finding]]:
        names = [generation.directory_name for generation in self._active()]
        jobs = self.options.install.jobs
        found = scan(self.prefix, names, full=full, jobs=jobs, stop=self.stop)
        self.state.set_damage(found)
        self._guarded("tell", "probes", self._write_known)
        return found

    def _repair(self, names: list[str]) -> None:
        self.state.activity = f"repairing {', '.join(names)}"
        options = replace(self.options.install, only=())
        left = repair(self.prefix, self._catalog, self._uv, names, options, self._reporter).findings
        self._counted = False
        self._scan(full=False)
        if left:
            raise DamageError(f"{count_differences(left)} could not be restored, such as {left[0]}")
        self.metrics.repaired.inc()
        self._failed_in_a_row = 0
        self.state.retry_s = None
        self._reporter.info(f"restored {', '.join(names)}")

    # --- install ---

    def _active(self) -> list[Generation]:
        """Give the active generations, newest first."""
        options = self.options.install
        active = self._catalog.between(options.min_gen_id, options.max_gen_id)
        return sorted(active, key=lambda generation: generation.id, reverse=True)

    def _is_something_missing(self) -> bool:
        readiness = self.readiness()
        states = {target.state for generation in readiness.generations for target in generation.targets}
        return not readiness.ready and (
            bool(states - {"ready", "left out", "damaged"})
            or any(not generation.sealed for generation in readiness.generations)
            or readiness.latest != readiness.generations[0].name
        )

    def _may_install(self) -> bool:
        return self.state.retry_s is None or time.time() >= self.state.retry_s

    def _install(self) -> None:
        """Install the active generations newest first, each sealed before the next one begins."""
        failures: dict[str, str] = {}
        general = ""
        newest = self._active()[0].id
        ready = {item.name for item in self.readiness().generations if item.ready}
        todo = [generation for generation in self._active() if generation.directory_name not in ready]
        for generation in todo or self._active()[:1]:  # when all stands there, `latest` lags behind
            if self.stop.is_set():
                return
            name = generation.directory_name
            self.state.activity = f"installing {name}"
            self.state.installing = frozenset({name})
            # The newest is always of the range: `latest` names the newest sealed one of it.
            options = replace(self.options.install, min_gen_id=generation.id, max_gen_id=newest)
            try:
                for label, error in self._install_range(options, generation).items():
                    if label.startswith(f"{name}/"):  # the newer ones' were told before
                        failures[label] = for_everybody(str(error))
                        self._fail(label, error)
            except MonobaseError as error:
                self._fail(name, error)
                general = for_everybody(str(error))
                for target in generation.targets:
                    failures.setdefault(f"{name}/{target.name}", general)
                if isinstance(error, DiskError):
                    break
            finally:
                self.state.installing = frozenset()
                self._counted = False
        self.state.set_failures(failures, general)
        self._guarded("tell", "probes", self._write_known)
        if failures or general:
            self._schedule_retry()
        else:
            self._failed_in_a_row = 0
            self.state.retry_s = None

    def _install_range(self, options: InstallOptions, generation: Generation) -> dict[str, MonobaseError]:
        began = time.monotonic()
        try:
            result = install(self.prefix, self._catalog, self._uv, options, self._reporter)
        except InterpreterError:
            result = self._install_by_python(options, generation)
        finally:
            self.metrics.installs.observe(time.monotonic() - began)
        self.metrics.fetched_bytes.inc(result.fetched_bytes)
        return result.failures

    def _install_by_python(self, options: InstallOptions, generation: Generation) -> InstallResult:
        """Install what each Python allows: one that cannot be had leaves the others alone."""
        whole = InstallResult()
        readiness = self.readiness()
        here = next(item for item in readiness.generations if item.name == generation.directory_name)
        missing = {item.name for item in here.targets if item.state not in {"ready", "left out", "damaged"}}
        by_python: dict[str, list[str]] = {}
        for target in generation.targets:
            if target.name in missing:
                by_python.setdefault(target.inputs.python, []).append(target.name)
        for python, names in by_python.items():
            part = replace(options, only=tuple(names))
            try:
                result = install(self.prefix, self._catalog, self._uv, part, self._reporter)
            except InterpreterError as error:
                whole.failures |= {f"{generation.directory_name}/{name}": error for name in names}
                self._reporter.error(str(error), python=minor_of(python))
                continue
            whole.fetched_bytes += result.fetched_bytes
            whole.failures |= result.failures
        return whole

    def _schedule_retry(self) -> None:
        self._failed_in_a_row += 1
        delay_s = retry_delay_s(
            self._failed_in_a_row,
            self.options.retry_delay_s,
            self.options.max_retry_delay_s,
            random.uniform(0.5, 1.5),  # noqa: S311 (nodes should not ask the index at once, no more than that)
        )
        self.state.retry_s = time.time() + delay_s
        self._reporter.info(f"trying again in {delay_s:.1f} s", failed_in_a_row=self._failed_in_a_row)

    # --- prune ---

    def _prune(self) -> None:
        options = self.options.install
        if not self.options.prune_old_gen or options.min_gen_id is None:
            return
        now = tuple(self.prefix.installed_generations())
        ready = self.readiness().ready
        if (*now, str(ready)) == self._pruned and not self._leases_ended():
            return
        self.state.activity = "pruning"
        plan = prune(
            self.prefix, self._catalog, self._uv, options.min_gen_id, options.max_gen_id, self._reporter
        )
        self.metrics.pruned_bytes.inc(plan.freed_bytes)
        if not plan.empty:
            self._counted = False
        for name, reason in plan.kept.items():
            self._reporter.info(f"{name} is older than --min-gen-id and stays: {reason}")
        if plan.incomplete:
            self._reporter.warning(plan.incomplete)
        self._pruned = (*self.prefix.installed_generations(), str(ready))

    def _leases_ended(self) -> bool:
        minimum = self.options.install.min_gen_id or 0
        old = [name for name in self.prefix.installed_generations() if int(name[1:]) < minimum]
        if not old:
            return False
        plan = plan_prune(self.prefix, self._catalog, minimum, self.options.install.max_gen_id)
        return bool(plan.generations)

    def _clean(self) -> None:
        self.state.activity = "cleaning uv's cache"
        clean_uv_cache(self.prefix, self._reporter)
        self._counted = False

    # --- telling ---

    def _tell(self) -> None:
        readiness = self.readiness()
        if readiness.ready != self._was_ready:
            if readiness.ready:
                usage = self.state.usage
                self._reporter.info(
                    "ready",
                    generations=[generation.name for generation in readiness.generations],
                    saved_bytes=usage.saved_bytes if usage is not None else 0,
                )
            else:
                self._reporter.warning(f"not ready: {'; '.join(readiness.reasons)}")
            self._was_ready = readiness.ready
        directory = self.options.features_directory
        if directory is not None:
            self._guarded("features", str(directory), lambda: self._write_features(directory, readiness))

    def _write_known(self) -> None:
        with disk_errors(self.prefix):
            write_known(self.prefix, self.state.known())

    def _write_features(self, directory: Path, readiness: Readiness) -> None:
        if write_features(directory, readiness):
            self._reporter.info(f"wrote the features of this node to {directory}")

    def _wait_for_another(self, text: str) -> None:
        self.state.activity = text
        self._reporter.info(text)

    def _pause_s(self) -> float:
        pause_s = self.options.check_interval_s
        if self.state.retry_s is not None:
            pause_s = min(pause_s, max(0.0, self.state.retry_s - time.time()))
        return pause_s


def retry_delay_s(failed_in_a_row: int, first_s: float, longest_s: float, jitter: float) -> float:
    """Give the delay before a retry: it doubles with each failure up to a bound, times a jitter.

    Args:
        failed_in_a_row: How often it has failed, from 1.
        first_s: Delay after the first failure.
        longest_s: The bound.
        jitter: A factor around 1.

    Returns:
        Seconds.
    """
    doublings = min(failed_in_a_row - 1, 60)
    return float(min(longest_s, first_s * 2**doublings) * jitter)
