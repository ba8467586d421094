"""Installs what models wait for, then what is missing of the active generations."""

import time
from collections.abc import Callable
from dataclasses import replace

from daemon.errors import DiskError, PrefixError
from daemon.host.known_contents import KnownContents
from daemon.install.pipeline import install
from daemon.install.result import InstallResult
from daemon.prefix.prefix import LATEST_NAME
from daemon.service.budget import Budget
from daemon.service.context import ServiceContext
from daemon.service.demand import Demand
from daemon.service.first_fetch import FirstFetch
from daemon.service.state import INSTALL
from daemon.upkeep.readiness import NOT_REQUESTED, GenerationReadiness, Readiness
from gens.generation import Generation


class Installs:
    """Installs the active generations newest first, each sealed before the next one begins.

    What a model waits for comes before all else. An install that runs gives way to it between two batches.

    Args:
        context: The service.
        demand: What models wait for.
        budget: Makes room on the disk.
        first_fetch: Delays what no model waits for.
    """

    def __init__(
        self, context: ServiceContext, demand: Demand, budget: Budget, first_fetch: FirstFetch | None = None
    ) -> None:
        self._context = context
        self._demand = demand
        self._budget = budget
        self._first_fetch = first_fetch or FirstFetch(context)
        self._known: KnownContents | None = None  # what the installs of one burst of requests have read

    def install_missing(self) -> bool:
        """Install what is missing and not waiting for its retry.

        Returns:
            Whether anything was tried.
        """
        tried = self.install_demanded()
        while self._install_generations():
            tried = True
            if not self.install_demanded():
                break
        return tried

    def install_demanded(self) -> bool:
        """Install what models wait for, one by one, what was asked for first before the others.

        Returns:
            Whether anything was tried.
        """
        tried: set[tuple[str, str]] = set()
        self._known = KnownContents(self._context.options.install.jobs)
        while not self._context.stop.is_set():
            first = self._demand.first()
            if first is None or (first[0].directory_name, first[1]) in tried:
                break
            generation, name = first
            tried.add((generation.directory_name, name))
            self._context.reporter.info(f"{generation.directory_name}/{name}: a model waits for it")
            self._try_install(generation, [name])
            self._context.attempt("demand", self._demand.offer)
        self._known = None
        return bool(tried)

    def _install_generations(self) -> bool:
        context = self._context
        tried = False
        self._first_fetch.clear()
        missing = self._demand.labels()
        missing |= {label.partition("/")[0] for label in missing}
        readiness = context.readiness()
        for generation, found in zip(context.active(), readiness.generations, strict=True):
            names = _missing(found, readiness)
            if names is None:
                continue
            missing |= {found.name, *(f"{found.name}/{name}" for name in names)}
            # After a full disk, an older generation would take the room that this one needs.
            if context.stop.is_set() or not context.retries.may(INSTALL) or self._demand.is_due():
                continue
            if self._first_fetch.may(generation, names):
                tried |= self._try_install(generation, names, self._demand.is_due)
        context.retries.keep_only(INSTALL, missing)
        if not missing:
            context.retries.succeeded(INSTALL)
        return tried

    def _try_install(
        self, generation: Generation, missing: list[str], gives_way: Callable[[], bool] | None = None
    ) -> bool:
        """Install what is due of a generation; each environment and toolkit has a delay of its own.

        Without `gives_way`, a model waits for it. Whatever fails then delays nothing else: a model could ask
        for what the disk cannot hold.
        """
        context, name = self._context, generation.directory_name
        due = [item for item in missing if context.retries.may(f"{INSTALL} {name}/{item}")]
        if not context.retries.may(f"{INSTALL} {name}") or (missing and not due):
            return False
        for names in self._budget.portions(generation, due):
            if context.stop.is_set() or (gives_way is not None and gives_way()):
                break
            self._install(generation, names, gives_way)
        context.attempt("probes", context.write_known)
        return True

    def _install(
        self, generation: Generation, names: list[str], gives_way: Callable[[], bool] | None
    ) -> None:
        context, name = self._context, generation.directory_name
        whole = f"installing {name}"
        context.state.activity = whole if gives_way is not None else f"{whole}/{names[0]}"
        context.state.installing = frozenset({name})
        context.is_counted = False
        began_s = time.monotonic()
        options = replace(context.options.install, generation_id=generation.id, due=tuple(names))
        try:
            result = install(
                context.prefix, context.catalog, context.uv_program, options, context.reporter, gives_way,
                self._known if gives_way is None else None,
            )  # fmt: skip
        except PrefixError as error:
            subject = INSTALL if gives_way is not None else f"{INSTALL} {name}/{names[0]}"
            context.fail(subject, error, self._what_stays() if isinstance(error, DiskError) else "")
        except Exception as error:
            context.fail(
                f"{INSTALL} {name}" if gives_way is not None else f"{INSTALL} {name}/{names[0]}", error
            )
        else:
            if gives_way is not None:
                context.retries.succeeded(INSTALL)
            self._note(name, names, result)
        finally:
            context.metrics.installs.observe(time.monotonic() - began_s)
            context.state.installing = frozenset()

    def _note(self, name: str, due: list[str], result: InstallResult) -> None:
        context = self._context
        context.metrics.fetched_bytes.inc(result.fetched_bytes)
        failures = dict(result.failures)
        if LATEST_NAME in failures:
            failures.setdefault(name, failures.pop(LATEST_NAME))
        for label in (name, *(f"{name}/{item}" for item in due)):
            if label in failures:
                context.fail(f"{INSTALL} {label}", failures[label])
            elif not result.gave_way or label in result.installed:
                context.retries.succeeded(f"{INSTALL} {label}")

    def _what_stays(self) -> str:
        """Return, for a full disk, what pruning would remove and why it does not yet."""
        old = self._context.old_generations()
        if not self._context.options.prune_old_gen or not old:
            return ""
        return (
            f"; {', '.join(old)}: pruned only when the active generations are ready, because models may use "
            "them: make the disk larger, or install less with --only or --pool"
        )


def _missing(found: GenerationReadiness, readiness: Readiness) -> list[str] | None:
    """Return the targets of a generation that are to be installed; None when nothing is to be done for it."""
    states = {target.name: target.state for target in found.targets}
    names = [name for name, state in states.items() if state not in {"ready", "damaged", *NOT_REQUESTED}]
    return names if names or not found.settled or found.name == readiness.lagging else None
