"""Records what the import of each environment reads, between two rounds' work."""

from daemon.service.context import ServiceContext
from daemon.service.demand import Demand
from daemon.upkeep.prefetch_record import record_imports, tree_identity
from gens.generation import Environment, Generation


class Prefetching:
    """Records imports if the options say so; an environment that fails is tried again by the next daemon.

    Args:
        context: The service.
        demand: What models wait for, which comes first.
    """

    def __init__(self, context: ServiceContext, demand: Demand) -> None:
        self._context = context
        self._demand = demand
        self._seen: dict[str, tuple[int, int]] = {}

    def record(self) -> None:
        """Record the imports of installed environments that were not looked at before."""
        context = self._context
        if context.options.prefetch == "off":
            return
        context.state.activity = "recording what imports read"
        postponed = record_imports(
            context.prefix, context.active(), context.reporter, self._is_over, self._is_due
        )
        for label in postponed:
            del self._seen[label]

    def _is_over(self) -> bool:
        return self._context.stop.is_set() or self._demand.is_due()

    def _is_due(self, generation: Generation, environment: Environment) -> bool:
        """Return whether an environment was not looked at yet: to read each manifest each round is slow."""
        label = f"{generation.directory_name}/{environment.name}"
        identity = tree_identity(self._context.prefix, generation, environment)
        is_new = self._seen.get(label) != identity
        self._seen[label] = identity
        return is_new
