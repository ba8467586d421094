"""Installs what is missing of the active generations."""

import time
from dataclasses import replace

from daemon.errors import DiskError, PrefixError
from daemon.install.pipeline import install
from daemon.install.result import InstallResult
from daemon.prefix.prefix import LATEST_NAME
from daemon.service.context import ServiceContext
from daemon.service.state import INSTALL
from daemon.upkeep.readiness import GenerationReadiness, Readiness
from gens.generation import Generation


class Installs:
    """Installs the active generations newest first, each sealed before the next one begins.

    Args:
        context: The service.
    """

    def __init__(self, context: ServiceContext) -> None:
        self._context = context

    def install_missing(self) -> bool:
        """Install what is missing and not waiting for its retry.

        Returns:
            Whether anything was tried.
        """
        context = self._context
        tried = False
        missing: set[str] = set()
        readiness = context.readiness()
        for generation, found in zip(context.active(), readiness.generations, strict=True):
            names = _missing(found, readiness)
            if names is None:
                continue
            missing |= {found.name, *(f"{found.name}/{name}" for name in names)}
            # After a full disk, an older generation would take the room that this one needs.
            if not context.stop.is_set() and context.retries.may(INSTALL):
                tried |= self._try_install(generation, names)
        context.retries.keep_only(INSTALL, missing)
        if not missing:
            context.retries.succeeded(INSTALL)
        return tried

    def _try_install(self, generation: Generation, missing: list[str]) -> bool:
        """Install what is due of a generation; each environment and toolkit has a delay of its own."""
        context, name = self._context, generation.directory_name
        due = [item for item in missing if context.retries.may(f"{INSTALL} {name}/{item}")]
        if not context.retries.may(f"{INSTALL} {name}") or (missing and not due):
            return False
        context.state.activity = f"installing {name}"
        context.state.installing = frozenset({name})
        context.is_counted = False
        began_s = time.monotonic()
        only = tuple(due) or context.options.install.only
        options = replace(context.options.install, generation_id=generation.id, only=only)
        try:
            result = install(context.prefix, context.catalog, context.uv_program, options, context.reporter)
        except PrefixError as error:
            context.fail(INSTALL, error, self._what_stays() if isinstance(error, DiskError) else "")
        except Exception as error:
            context.fail(f"{INSTALL} {name}", error)
        else:
            self._note(name, due, result)
        finally:
            context.metrics.installs.observe(time.monotonic() - began_s)
            context.state.installing = frozenset()
        context.attempt("probes", context.write_known)
        return True

    def _note(self, name: str, due: list[str], result: InstallResult) -> None:
        context = self._context
        context.metrics.fetched_bytes.inc(result.fetched_bytes)
        context.retries.succeeded(INSTALL)
        failures = dict(result.failures)
        if LATEST_NAME in failures:
            failures.setdefault(name, failures.pop(LATEST_NAME))
        for label in (name, *(f"{name}/{item}" for item in due)):
            if label in failures:
                context.fail(f"{INSTALL} {label}", failures[label])
            else:
                context.retries.succeeded(f"{INSTALL} {label}")

    def _what_stays(self) -> str:
        """Return, for a full disk, what pruning would remove and why it does not yet."""
        old = self._context.old_generations()
        if not self._context.options.prune_old_gen or not old:
            return ""
        return (
            f"; {', '.join(old)}: pruned only when the active generations are ready, because models may use "
            "them: make the disk larger, or install less with --only"
        )


def _missing(found: GenerationReadiness, readiness: Readiness) -> list[str] | None:
    """Return the targets of a generation that are to be installed; None when nothing is to be done for it."""
    states = {target.name: target.state for target in found.targets}
    names = [name for name, state in states.items() if state not in {"ready", "left out", "damaged"}]
    to_seal = not found.sealed and "left out" not in states.values()
    latest_lags = found.sealed and found.name == readiness.generations[0].name != readiness.latest
    return names if names or to_seal or latest_lags else None
