"""Looks at the leases of models, and remembers when each environment was leased last."""

import time

from daemon.prefix.lease_record import (
    last_leases,
    last_uses,
    read_lease_record,
    read_leases,
    write_lease_record,
)
from daemon.service.context import ServiceContext
from daemon.service.state import LeaseState


class LeaseWatch:
    """Keeps the state of leases, and the record that outlives the daemon.

    Args:
        context: The service.
    """

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._last: dict[str, int] = {}

    def look(self) -> bool:
        """Look at all leases, and record them; a record that cannot be written ends nothing.

        Returns:
            Whether one has ended since the last look, so that an environment may go that could not go before.
        """
        context = self._context
        before = context.state.leases
        environments = read_leases(context.prefix)
        now_s = int(time.time())
        # What this daemon saw counts also where a full disk or a newer release keeps it out of the record.
        recorded = read_lease_record(context.prefix) | self._last
        last = self._last = last_leases(environments, recorded, now_s)
        now = LeaseState(
            last_uses(environments, last, now_s),
            frozenset(item.label for item in environments if item.leased),
            frozenset(item.generation for item in environments if item.generation_leased),
        )
        context.state.leases = now
        context.attempt("lease record", lambda: write_lease_record(context.prefix, last))
        return not (before.environments <= now.environments and before.generations <= now.generations)
