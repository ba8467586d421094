"""Keep a node at its desired state: the loop of `run`.

Each round compares the prefix with what should be there, and does what is missing: restore what is damaged,
install, and prune once that is ready. What fails is told, and tried again after a growing delay of its own
(`daemon/host/retries.py`); everything else goes on.
"""

import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from daemon.errors import DamageError, DiskError, PrefixError
from daemon.host.durability import DAEMON_SUFFIX, remove_temporary_files
from daemon.host.exclusive_lock import ExclusiveLock
from daemon.host.retries import Retries
from daemon.host.system_error import system_errors
from daemon.install.pipeline import InstallOptions, install
from daemon.install.plan import check_patterns
from daemon.prefix.finding import Finding, count_differences
from daemon.prefix.mark_check import check_mark
from daemon.prefix.prefix import Prefix
from daemon.prefix.service_lock import service_lock
from daemon.prefix.usage import read_usage
from daemon.report.progress import Reporter
from daemon.service.definitions import Definitions
from daemon.service.feature_file import write_features
from daemon.service.metrics import Metrics
from daemon.service.state import (
    DEFINITION,
    INSTALL,
    REPAIR,
    SCAN,
    ServiceState,
    for_everybody,
    kind_of,
    text_of,
)
from daemon.upkeep.known_file import read_known, write_known
from daemon.upkeep.prune import clean_uv_cache, prune
from daemon.upkeep.prune_plan import plan_prune
from daemon.upkeep.readiness import GenerationReadiness, Known, Readiness, read_readiness
from daemon.upkeep.repair import repair
from daemon.upkeep.scan import ScanInterruptedError, describe, scan
from daemon.upkeep.verify import needs_a_person
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
        self._retries = Retries(options.retry_delay_s, options.max_retry_delay_s)
        self.state = ServiceState(self._retries)
        self.stop = threading.Event()
        self.metrics = Metrics(prefix, self.state, self.readiness)
        self.prefix = prefix
        self.options = options
        self._definitions = Definitions(load, options.install.min_gen_id, options.install.max_gen_id)
        check_patterns(self._active(), options.install.only)
        self._uv = uv_program
        self._reporter = reporter
        self._scanned_s: float | None = None
        self._verified_s = time.monotonic()
        self._read_only: set[str] = set()  # generations with damage that only reading everything has found
        self._to_clean = options.clean_uv_cache
        self._counted = False
        self._pruned: tuple[str, ...] | None = None
        self._waiting_to_prune: tuple[str, ...] = ()
        self._was_ready: bool | None = None
        self._warned: set[str] = set()

    def readiness(self) -> Readiness:
        """Tell whether the node is ready, as the prefix is now."""
        options = self.options.install
        return read_readiness(
            self.prefix,
            self._definitions.catalog,
            options.min_gen_id,
            options.max_gen_id,
            self.state.known(),
            options.only,
        )

    def run(self) -> None:
        """Run until told to stop, or until something that no retry can help."""
        try:
            while not self.stop.is_set():
                with system_errors(self.prefix.root):
                    self.prefix.make_directories()
                with service_lock(self.prefix, self.stop, self._wait_for_another) as lock:
                    if lock is not None:
                        self._loop(lock)
                        self._leave_word()
        finally:
            self.state.alive = False

    def _loop(self, lock: ExclusiveLock) -> None:
        self.state.remember_damage(read_known(self.prefix, self._reporter.warning).damage)
        while not self.stop.is_set():
            if lock.is_lost():
                self._reporter.warning("somebody removed the lock of the one daemon; taking it anew")
                return
            began_s = self.state.round_began_s = time.monotonic()
            self._retries.draw_jitter()
            self._try("round", self._round)  # its parts are tried each by itself
            if self.stop.is_set():
                return  # what a round that was cut short has not seen is not told
            self._try("tell", self._tell)
            self.state.round_began_s = None
            self.state.activity = "idle"
            soonest_s = self._retries.soonest_s(began_s)
            pause_s = self.options.check_interval_s
            self.stop.wait(pause_s if soonest_s is None else min(pause_s, soonest_s))

    def _round(self) -> None:
        """Do what is due; what fails leaves the rest alone."""
        self.state.activity = "checking"
        self._read_definitions()
        self._try("temporary files", lambda: remove_temporary_files(self.prefix.generations, DAEMON_SUFFIX))
        if self._to_clean and self._try("clean", self._clean):
            self._to_clean = False
        self._try("check", self._look_for_damage)
        if self._install():
            self._try("check", self._look_for_damage)
        self._try("prune", self._prune)
        if not self._counted:
            self._try("count", self._count)
        self.state.checked_s = time.time()

    def _try(self, subject: str, work: Callable[[], None]) -> bool:
        """Do something that may fail, unless it failed and its delay is not over.

        Returns:
            Whether it was done.
        """
        if self.stop.is_set() or not self._retries.may(subject):
            return False
        try:
            work()
        except ScanInterruptedError:
            return False
        except Exception as error:
            self._fail(subject, error)
            return False
        self._retries.succeeded(subject)
        return True

    def _fail(self, subject: str, error: BaseException, note: str = "") -> None:
        """Tell what failed, and try it again after a delay of its own."""
        delay_s = self._retries.failed(subject, for_everybody(text_of(error) + note))
        self._tell_error(subject, error, f"{note}; trying again in {delay_s:.1f} s")

    def _tell_error(self, subject: str, error: BaseException, note: str = "") -> None:
        text = for_everybody(text_of(error))
        self.metrics.failures.labels(kind_of(error)).inc()
        self.state.add_error(kind_of(error), subject, text)
        if not isinstance(error, MonobaseError | OSError):
            text = f"a fault of monobase itself:\n{''.join(traceback.format_exception(error))}"
        self._reporter.error(text + note, subject=subject, kind=kind_of(error))

    # --- definitions ---

    def _read_definitions(self) -> None:
        self._try("definitions", self._definitions.read)
        broken = self._definitions.broken
        for name, error in broken.items():
            subject = f"{DEFINITION} {name}"
            if self._retries.may(subject):
                self._fail(subject, error)
        names = {generation.directory_name for generation in self._active()}
        self._retries.keep_only(DEFINITION, set(broken))
        self._retries.keep_only(SCAN, names)

    def _active(self) -> list[Generation]:
        """Give the active generations, newest first."""
        options = self.options.install
        active = self._definitions.catalog.between(options.min_gen_id, options.max_gen_id)
        return sorted(active, key=lambda generation: generation.id, reverse=True)

    # --- damage ---

    def _look_for_damage(self) -> None:
        now = time.monotonic()
        options = self.options
        full = bool(options.verify_interval_s) and now - self._verified_s >= options.verify_interval_s
        due = self._scanned_s is None or now - self._scanned_s >= options.scan_interval_s
        if not (full or due or self.state.damage or self._is_marked_otherwise()):
            return
        self.state.activity = "verifying every file" if full else "looking for damage"
        before, first = self.state.damage, self._scanned_s is None
        self._scan(full=full, due=due)
        self._scanned_s = time.monotonic()
        if full:
            self._verified_s = self._scanned_s
        found = self.state.damage
        self._retries.keep_only(REPAIR, set(found))
        if not found:
            return
        if first or found != before:
            told = describe(found)
            text = f"{count_differences(told)} from what was sealed, such as {told[0]}"
            self._tell_error(", ".join(found), DamageError(text))
        self._tell()
        if options.repair:
            self._repair_each(list(found))

    def _is_marked_otherwise(self) -> bool:
        """Tell whether marks or manifests are not the ones of the sealing."""
        marked: list[Finding] = []
        for generation in self._active():
            with suppress(MonobaseError, OSError):  # readiness and scans tell
                check_mark(self.prefix, generation.directory_name, marked)
        return bool(marked)

    def _scan(self, *, full: bool, due: bool) -> None:
        """Look at the files of each generation; one that cannot be looked at leaves the others alone."""
        active = [generation.directory_name for generation in self._active()]
        names = [name for name in active if self._retries.may(f"{SCAN} {name}")]
        # What only reading everything has found, a quick look would not find again.
        to_read = names if full else [name for name in names if name in self._read_only and due]
        to_look_at = [name for name in names if name not in to_read and name not in self._read_only]
        found = {name: self.state.damage.get(name, []) for name in active}
        for wanted, reads in ((to_read, True), (to_look_at, False)):
            found |= self._scan_each(wanted, full=reads)
        if full or to_read:
            self._read_only -= set(to_read)
            self._read_only |= {name for name in to_read if found[name]}
        self._set_damage(found)

    def _scan_each(self, names: list[str], *, full: bool) -> dict[str, list[Finding]]:
        if not names:
            return {}
        jobs = self.options.install.jobs
        try:
            found = scan(self.prefix, names, full=full, jobs=jobs, stop=self.stop, warn=self._warn_once)
        except ScanInterruptedError:
            raise
        except Exception as error:
            if len(names) > 1:  # all at once is quicker where they share; one by one tells which it is
                found = {}
                for name in names:
                    found |= self._scan_each([name], full=full)
                return found
            self._fail(f"{SCAN} {names[0]}", error)
            return {names[0]: self.state.damage.get(names[0], [])}
        for name in names:
            self._retries.succeeded(f"{SCAN} {name}")
        return {name: found.get(name, []) for name in names}

    def _warn_once(self, text: str) -> None:
        """Tell what is strange and harms no model, once as long as the daemon lives."""
        if text not in self._warned:
            self._warned.add(text)
            self._reporter.warning(text)

    def _repair_each(self, names: list[str]) -> None:
        for name in names:
            if name in self.state.damage:  # what it shared with another one is whole again
                self._try(f"{REPAIR} {name}", partial(self._repair, name))
        self._retries.keep_only(REPAIR, set(self.state.damage))
        self._try("probes", self._write_known)

    def _repair(self, name: str) -> None:
        self.state.activity = f"repairing {name}"
        options = replace(self.options.install, only=())
        self._counted = False
        result = repair(self.prefix, self._definitions.catalog, self._uv, [name], options, self._reporter)
        left = [finding for finding in result.findings if not needs_a_person(finding)]
        restored = {(finding.tree, finding.path) for finding in self.state.damage.get(name, [])} - {
            (finding.tree, finding.path) for finding in left
        }
        self._read_only.discard(name)
        damage = {
            other: [item for item in findings if (item.tree, item.path) not in restored]
            for other, findings in self.state.damage.items()
        }
        self._set_damage(damage | {name: left})
        if left:
            self._read_only.add(name)
            why = "".join(f": {error}" for error in list(result.failures.values())[:1])
            raise DamageError(f"{count_differences(left)} could not be restored, such as {left[0]}{why}")
        self.metrics.repaired.inc()
        self._reporter.info(f"restored {name}")

    # --- install ---

    def _install(self) -> bool:
        """Install the active generations newest first, each sealed before the next one begins.

        Returns:
            Whether anything was tried.
        """
        tried = False
        missing: set[str] = set()
        readiness = self.readiness()
        for generation, here in zip(self._active(), readiness.generations, strict=True):
            names = _missing(here, readiness)
            if names is None:
                continue
            missing |= {here.name, *(f"{here.name}/{name}" for name in names)}
            # After a full disk, an older one would take the room that this one needs.
            if not self.stop.is_set() and self._retries.may(INSTALL):
                tried |= self._try_install(generation, names)
        self._retries.keep_only(INSTALL, missing)
        if not missing:
            self._retries.succeeded(INSTALL)
        return tried

    def _try_install(self, generation: Generation, missing: list[str]) -> bool:
        """Install what is due of a generation; each environment and toolkit has a delay of its own."""
        name = generation.directory_name
        due = [item for item in missing if self._retries.may(f"{INSTALL} {name}/{item}")]
        if not self._retries.may(f"{INSTALL} {name}") or (missing and not due):
            return False
        self.state.activity = f"installing {name}"
        self.state.installing = frozenset({name})
        self._counted = False
        began_s = time.monotonic()
        only = tuple(due) or self.options.install.only
        options = replace(self.options.install, generation_id=generation.id, only=only)
        try:
            result = install(self.prefix, self._definitions.catalog, self._uv, options, self._reporter)
        except PrefixError as error:
            note = self._what_stays() if isinstance(error, DiskError) else ""
            self._fail(INSTALL, error, note)
        except Exception as error:
            self._fail(f"{INSTALL} {name}", error)
        else:
            self.metrics.fetched_bytes.inc(result.fetched_bytes)
            self._retries.succeeded(INSTALL)
            failures = dict(result.failures)
            if "latest" in failures:
                failures.setdefault(name, failures.pop("latest"))
            for label in (name, *(f"{name}/{item}" for item in due)):
                if label in failures:
                    self._fail(f"{INSTALL} {label}", failures[label])
                else:
                    self._retries.succeeded(f"{INSTALL} {label}")
        finally:
            self.metrics.installs.observe(time.monotonic() - began_s)
            self.state.installing = frozenset()
        self._try("probes", self._write_known)
        return True

    def _what_stays(self) -> str:
        """Say, for a disk that is full, what pruning would remove, and why it does not yet."""
        old = self._old_generations()
        if not self.options.prune_old_gen or not old:
            return ""
        return (
            f"; {', '.join(old)}: pruned only when the active generations are ready, as models use what "
            "stands there: make the disk larger, or install less with --only"
        )

    # --- prune ---

    def _prune(self) -> None:
        """Remove what is too old, when what follows it can be used."""
        options = self.options.install
        if not self.options.prune_old_gen or options.min_gen_id is None:
            return
        if not self.readiness().ready:
            old = tuple(self._old_generations())
            if old and old != self._waiting_to_prune:
                self._reporter.info(
                    f"{', '.join(old)}: older than --min-gen-id, pruned when the active generations are ready"
                )
            self._waiting_to_prune = old
            return
        now = tuple(self.prefix.installed_generations())
        if now == self._pruned and not self._leases_ended():
            return
        self.state.activity = "pruning"
        plan = prune(
            self.prefix,
            self._definitions.catalog,
            self._uv,
            options.min_gen_id,
            options.max_gen_id,
            self._reporter,
        )
        self.metrics.pruned_bytes.inc(plan.freed_bytes)
        if not plan.empty:
            self._counted = False
        for name, reason in plan.kept.items():
            self._reporter.info(f"{name} is older than --min-gen-id and stays: {reason}")
        if plan.incomplete:
            self._reporter.warning(plan.incomplete)
        self._pruned = tuple(self.prefix.installed_generations())

    def _leases_ended(self) -> bool:
        if not self._old_generations():
            return False
        options = self.options.install
        plan = plan_prune(self.prefix, self._definitions.catalog, options.min_gen_id or 0, options.max_gen_id)
        return bool(plan.generations)

    def _old_generations(self) -> list[str]:
        minimum = self.options.install.min_gen_id or 0
        return [name for name in self.prefix.installed_generations() if int(name[1:]) < minimum]

    def _clean(self) -> None:
        self.state.activity = "cleaning uv's cache"
        clean_uv_cache(self.prefix, self._reporter)
        self._counted = False

    # --- telling ---

    def _count(self) -> None:
        self.state.activity = "counting bytes"
        self.state.usage = read_usage(self.prefix)
        self._counted = True

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
            self._try("features", lambda: self._write_features(directory, readiness))
        self._try("probes", self._write_known)

    def _set_damage(self, damage: dict[str, list[Finding]]) -> None:
        """Note what is damaged, for other processes first: whoever hears `ready` here may end this one."""
        self._try(
            "probes", lambda: self._write_known(replace(self.state.known(), damage=damage, scanned=True))
        )
        self.state.set_damage(damage)

    def _leave_word(self) -> None:
        """Write what is known at the end, too: the last round may have been cut short before it did."""
        try:
            self._write_known()
        except (MonobaseError, OSError) as error:
            self._tell_error("probes", error)

    def _write_known(self, known: Known | None = None) -> None:
        with system_errors(self.prefix.root):
            write_known(self.prefix, self.state.known() if known is None else known)

    def _write_features(self, directory: Path, readiness: Readiness) -> None:
        if write_features(directory, readiness):
            self._reporter.info(f"wrote the features of this node to {directory}")

    def _wait_for_another(self, text: str) -> None:
        self.state.activity = text
        self._reporter.info(text)


def _missing(here: GenerationReadiness, readiness: Readiness) -> list[str] | None:
    """Give the names of what is to be installed of a generation; None when nothing is to be done for it."""
    states = {target.name: target.state for target in here.targets}
    names = [name for name, state in states.items() if state not in {"ready", "left out", "damaged"}]
    to_seal = not here.sealed and "left out" not in states.values()
    latest_lags = here.sealed and here.name == readiness.generations[0].name != readiness.latest
    return names if names or to_seal or latest_lags else None
