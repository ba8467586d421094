"""Sees what models ask for, and lets them ask for what this node could install."""

import time
from collections.abc import Callable

from daemon.prefix.demand import asked, offer
from daemon.prefix.generation import is_present
from daemon.service.context import ServiceContext
from daemon.service.state import INSTALL
from gens.errors import MonobaseError
from gens.generation import Generation

POLL_S = 0.5


class Demand:
    """The demand of the models on this node.

    Args:
        context: The service.
    """

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._since: dict[tuple[str, str], float] = {}
        self._looked_s = -POLL_S

    def offer(self) -> None:
        """Offer each selected environment and toolkit that is not installed."""
        context = self._context
        selection = context.selection()
        names: dict[str, set[str]] = {}
        for generation in context.active():
            names[generation.directory_name] = {
                target.name
                for target in generation.targets
                if selection.has(target.name) and not is_present(context.prefix, generation, target)
            }
        offer(context.prefix, names)

    def first(self) -> tuple[Generation, str] | None:
        """Return what is asked for, may be tried now, and was asked for first; None when there is nothing."""
        context = self._context
        now = time.monotonic()
        self._since = {label: self._since.get(label, now) for label in asked(context.prefix)}
        context.state.requested = len(self._since)
        if not self._since:
            return None
        try:
            active = {generation.directory_name: generation for generation in context.active()}
        except MonobaseError:  # the round reports it
            return None
        for label in sorted(self._since, key=lambda label: self._since[label]):  # stable: in order of names
            generation = active.get(label[0])
            if generation is not None and self._may(generation, label[1]):
                return generation, label[1]
        return None

    def is_due(self) -> bool:
        """Return whether something is asked for that may be tried now."""
        return self.first() is not None

    def interrupts(self) -> bool:
        """Return whether a scan is to end for something that is asked for, which has not failed yet.

        It looks at most twice a second, as often as it is called.
        """
        now = time.monotonic()
        if now - self._looked_s < POLL_S:
            return False
        self._looked_s = now
        first = self.first()
        subject = "" if first is None else f"{INSTALL} {first[0].directory_name}/{first[1]}"
        return first is not None and self._context.retries.next_s(subject) is None

    def labels(self) -> set[str]:
        """Return what was asked for when it was last looked at, as `g00003/NAME`."""
        return {f"{generation}/{name}" for generation, name in self._since}

    def wait(self, seconds: float, is_over: Callable[[], bool] = lambda: False) -> None:
        """Wait, until something is asked for, the service is to stop, or `is_over` returns true."""
        stop = self._context.stop
        end_s = time.monotonic() + seconds
        while not stop.is_set() and not self.is_due() and not is_over():
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                return
            stop.wait(min(POLL_S, left_s))

    def _may(self, generation: Generation, name: str) -> bool:
        context = self._context
        target = next((target for target in generation.targets if target.name == name), None)
        if target is None or not context.selection().has(name):
            return False
        subject = f"{INSTALL} {generation.directory_name}"
        if not (context.retries.may(subject) and context.retries.may(f"{subject}/{name}")):
            return False
        try:
            return not is_present(context.prefix, generation, target)
        except OSError:  # readiness reports it
            return False
