"""Finds damage on the prefix, and has it repaired."""

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial

from daemon.errors import DamageError
from daemon.prefix.finding import Finding, count_differences
from daemon.prefix.mark_check import check_mark
from daemon.service.context import ServiceContext
from daemon.service.demand import Demand
from daemon.service.state import REPAIR, SCAN
from daemon.upkeep.repair import repair
from daemon.upkeep.scan import ScanInterruptedError, describe, scan
from daemon.upkeep.verify import needs_a_person
from gens.errors import MonobaseError

_MOST_INTERRUPTIONS = 10


class DamageWatch:
    """Scans the active generations when a scan is due, and repairs each one that is damaged.

    Args:
        context: The service.
        announce: Tells everybody what is known; called between a scan that found damage and its repair.
        demand: What models wait for: a scan gives way to it.
    """

    def __init__(self, context: ServiceContext, announce: Callable[[], None], demand: Demand) -> None:
        self._context = context
        self._announce = announce
        self._demand = demand
        self._interruptions = 0  # in a row
        self._scanned_s: float | None = None
        self._verified_s = time.monotonic()
        self._found_by_reading: set[str] = set()  # generations with damage that a quick scan does not find
        self._warned: set[str] = set()

    def check(self) -> None:
        """Scan if a scan is due or something looks damaged, then repair what is."""
        context, options = self._context, self._context.options
        now = time.monotonic()
        full = bool(options.verify_interval_s) and now - self._verified_s >= options.verify_interval_s
        due = self._scanned_s is None or now - self._scanned_s >= options.scan_interval_s
        before, is_first = context.state.damage, self._scanned_s is None
        if not (full or due or before or self._is_marked_otherwise()):
            return
        context.state.activity = "verifying every file" if full else "looking for damage"
        self._scan(full=full, due=due)
        self._interruptions = 0
        self._scanned_s = time.monotonic()
        if full:
            self._verified_s = self._scanned_s
        found = context.state.damage
        context.retries.keep_only(REPAIR, set(found))
        if not found:
            return
        if is_first or found != before:
            lines = describe(found)
            text = f"{count_differences(lines)} from what was sealed, such as {lines[0]}"
            context.report(", ".join(found), DamageError(text))
        self._announce()
        if options.repair:
            self._repair_each(list(found))

    def _is_marked_otherwise(self) -> bool:
        """Return whether marks or manifests differ from those of the sealing."""
        findings: list[Finding] = []
        for generation in self._context.active():
            with suppress(MonobaseError, OSError):  # readiness and scans report these
                name = generation.directory_name
                check_mark(self._context.prefix, name, findings, self._context.manifests)
        return bool(findings)

    def _scan(self, *, full: bool, due: bool) -> None:
        """Scan each generation; one whose scan fails leaves the others alone."""
        context = self._context
        active = [generation.directory_name for generation in context.active()]
        names = [name for name in active if context.retries.may(f"{SCAN} {name}")]
        by_reading = self._found_by_reading
        to_read = names if full else [name for name in names if name in by_reading and due]
        to_scan = [name for name in names if name not in to_read and name not in by_reading]
        found = {name: context.state.damage.get(name, []) for name in active}
        found |= self._scan_all(to_read, full=True)
        found |= self._scan_all(to_scan, full=False)
        self._found_by_reading = by_reading - set(to_read) | {name for name in to_read if found[name]}
        self._set_damage(found)

    def _scan_all(self, names: list[str], *, full: bool) -> dict[str, list[Finding]]:
        if not names:
            return {}
        context = self._context
        try:
            jobs = context.options.install.jobs
            found = scan(context.prefix, names, full=full, jobs=jobs, stop=self._is_cut, warn=self._warn_once)
        except ScanInterruptedError:
            raise
        except Exception as error:
            if len(names) > 1:  # together is faster where they share files; one by one names the culprit
                return {
                    name: found for one in names for name, found in self._scan_all([one], full=full).items()
                }
            context.fail(f"{SCAN} {names[0]}", error)
            return {names[0]: context.state.damage.get(names[0], [])}
        for name in names:
            context.retries.succeeded(f"{SCAN} {name}")
        return {name: found.get(name, []) for name in names}

    def _is_cut(self) -> bool:
        """Return whether a scan is to end: the service stops, or a model waits for an environment.

        Models cannot keep a scan from its end for ever, whatever they ask for.
        """
        if self._context.stop.is_set():
            return True
        if self._interruptions < _MOST_INTERRUPTIONS and self._demand.interrupts():
            self._interruptions += 1
            return True
        return False

    def _warn_once(self, text: str) -> None:
        """Warn of what is strange and damages no environment, once in the life of the service."""
        if text not in self._warned:
            self._warned.add(text)
            self._context.reporter.warning(text)

    def _repair_each(self, names: list[str]) -> None:
        context = self._context
        for name in names:
            if name in context.state.damage:  # else the repair of another generation, which shares it, did it
                context.attempt(f"{REPAIR} {name}", partial(self._repair, name))
        context.retries.keep_only(REPAIR, set(context.state.damage))
        context.attempt("probes", context.write_known)

    def _repair(self, name: str) -> None:
        context = self._context
        context.state.activity = f"repairing {name}"
        context.is_counted = False
        options = replace(context.options.install, due=())
        result = repair(
            context.prefix, context.catalog, context.uv_program, [name], options, context.reporter
        )
        left = [finding for finding in result.findings if not needs_a_person(finding)]
        damage = context.state.damage
        restored = _places(damage.get(name, [])) - _places(left)
        self._set_damage(
            {other: [item for item in of if _place(item) not in restored] for other, of in damage.items()}
            | {name: left}
        )
        self._found_by_reading.discard(name)
        if left:
            self._found_by_reading.add(name)
            why = "".join(f": {error}" for error in list(result.failures.values())[:1])
            raise DamageError(f"{count_differences(left)} could not be restored, such as {left[0]}{why}")
        context.metrics.repaired.inc()
        context.reporter.info(f"restored {name}")

    def _set_damage(self, damage: dict[str, list[Finding]]) -> None:
        """Note what is damaged, for other processes first: who hears `ready` here may end this process."""
        context = self._context
        known = replace(context.state.known(), damage=damage, scanned=True)
        context.attempt("probes", partial(context.write_known, known))
        context.state.set_damage(damage)


def _place(finding: Finding) -> tuple[str, str]:
    return finding.tree, finding.path


def _places(findings: list[Finding]) -> set[tuple[str, str]]:
    return {_place(finding) for finding in findings}
