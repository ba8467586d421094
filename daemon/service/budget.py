"""Keeps the prefix within its disk budget: makes room for what is to be installed, and evicts what passes it.

Only a service that installs on demand evicts: what is evicted comes back when a model asks for it.
"""

import time
from collections.abc import Callable, Iterator, Sequence

from daemon.errors import BudgetError
from daemon.install.plan import make_plan, needed_bytes
from daemon.install.wanted import Wanted
from daemon.prefix.disk_budget import read_budget_use
from daemon.prefix.lease import offer_environment_leases, withdraw_environment_leases
from daemon.service.context import ServiceContext
from daemon.service.lease_watch import LeaseWatch
from daemon.service.state import INSTALL
from daemon.upkeep.eviction import eviction_rules, make_room
from gens.generation import Generation

_GRACE_S = 120
_LOOK_S = 1.0


class Budget:
    """The disk budget of a service.

    Args:
        context: The service.
        leases: Its look at the leases.
        evicted: Called after an eviction: models may ask for what went.
    """

    def __init__(
        self, context: ServiceContext, leases: LeaseWatch, evicted: Callable[[], None] = lambda: None
    ) -> None:
        self._context = context
        self._leases = leases
        self._evicted = evicted
        self._waiting: set[str] = set()
        self._looked_s = 0.0

    @property
    def evicts(self) -> bool:
        """True if environments may be evicted."""
        options = self._context.options
        return options.budget.is_set and options.install.selection.eager is not None

    def look(self) -> None:
        """Look at the leases; let models lease environments if these may go alone."""
        prefix = self._context.prefix
        if self.evicts or self._context.options.prune_unselected:
            offer_environment_leases(prefix)
        else:
            withdraw_environment_leases(prefix)
        if self._leases.look():
            self._retry_what_waits()

    def has_room(self) -> bool:
        """Return whether a lease has ended that an install waits for; the install may be tried again then."""
        now_s = time.monotonic()
        if not self._waiting or now_s - self._looked_s < _LOOK_S:
            return False
        self._looked_s = now_s
        if not self._leases.look():
            return False
        self._retry_what_waits()
        return True

    def keep(self) -> None:
        """Evict what passes the budget, as the disk may be filled by others or the budget be a new one.

        Raises:
            MonobaseError: It cannot be kept.
        """
        context, options = self._context, self._context.options
        if not options.budget.is_set or context.state.usage is None or not context.is_counted:
            return
        used_bytes = context.state.usage.total_bytes
        context.state.budget = read_budget_use(context.prefix, options.budget, used_bytes)
        if self.evicts and context.state.budget.over_bytes():
            self._make_room((), 0)

    def portions(self, generation: Generation, names: Sequence[str]) -> Iterator[list[str]]:
        """Make room for targets that are to be installed, all at once or, where that is too much, one by one.

        What there is no room for fails, and is tried again when a lease has ended or its delay has expired.

        Args:
            generation: Their generation.
            names: Their names.

        Yields:
            Names for which there is room now.
        """
        if not self.evicts or not names:
            yield list(names)
            return
        for portion in [list(names)] if len(names) == 1 else [list(names), *([name] for name in names)]:
            try:
                self._make_room_for(generation, portion)
            except Exception as error:
                if len(portion) == 1:
                    subject = f"{INSTALL} {generation.directory_name}/{portion[0]}"
                    if isinstance(error, BudgetError):
                        self._waiting.add(subject)
                    self._context.fail(subject, error)
            else:
                self._waiting -= {f"{INSTALL} {generation.directory_name}/{name}" for name in portion}
                yield portion
                if len(portion) == len(names):
                    return

    def _make_room_for(self, generation: Generation, names: Sequence[str]) -> None:
        context = self._context
        identity = generation.id
        plan = make_plan(
            context.prefix, context.catalog, min_gen_id=identity, max_gen_id=identity,
            selection=context.selection(), due=names,
        )  # fmt: skip
        self._make_room(plan.wanted, needed_bytes(plan, copy=context.options.install.copy))

    def _make_room(self, wanted: Sequence[Wanted], need_bytes: int) -> None:
        context, options = self._context, self._context.options
        rules = eviction_rules(
            context.prefix, context.catalog, context.active(), wanted, context.selection(),
            grace_s=_GRACE_S,
        )  # fmt: skip
        usage = context.state.usage if context.is_counted else None
        room = make_room(
            context.prefix, options.budget, rules, need_bytes, context.reporter,
            used_bytes=None if usage is None else usage.total_bytes,
        )  # fmt: skip
        context.state.budget = room.use
        if room.freed_bytes:
            context.is_counted = False
            context.metrics.evicted.inc(len(room.evicted))
            context.metrics.evicted_bytes.inc(room.freed_bytes)
            context.attempt("demand", self._evicted)

    def _retry_what_waits(self) -> None:
        for subject in self._waiting:
            self._context.retries.succeeded(subject)
        self._waiting.clear()
