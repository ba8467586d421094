"""Removes old generations once models can use another one."""

from daemon.service.context import ServiceContext
from daemon.upkeep.prune import clean_uv_cache, prune
from daemon.upkeep.prune_plan import plan_prune


class Pruning:
    """Prunes the prefix, and cleans uv's cache at the start if that was asked for.

    Args:
        context: The service.
    """

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._must_clean = context.options.clean_uv_cache
        self._pruned: tuple[str, ...] | None = None
        self._waiting: tuple[str, ...] = ()

    def clean(self) -> None:
        """Empty uv's cache, once."""
        if not self._must_clean:
            return
        context = self._context
        context.state.activity = "cleaning uv's cache"
        clean_uv_cache(context.prefix, context.reporter)
        context.is_counted = False
        self._must_clean = False

    def prune(self) -> None:
        """Remove the generations that are too old, if the active ones are ready."""
        context, options = self._context, self._context.options.install
        if not context.options.prune_old_gen or options.min_gen_id is None:
            return
        if not context.readiness().ready:
            self._say_what_waits()
            return
        if tuple(context.prefix.installed_generations()) == self._pruned and not self._leases_ended():
            return
        context.state.activity = "pruning"
        plan = prune(
            context.prefix, context.catalog, context.uv_program, options.min_gen_id, options.max_gen_id,
            context.reporter, selection=options.selection,
        )  # fmt: skip
        context.metrics.pruned_bytes.inc(plan.freed_bytes)
        if not plan.empty:
            context.is_counted = False
        for name, reason in plan.kept.items():
            context.reporter.info(f"{name} is older than --min-gen-id and stays: {reason}")
        if plan.incomplete:
            context.reporter.warning(plan.incomplete)
        self._pruned = tuple(context.prefix.installed_generations())

    def _say_what_waits(self) -> None:
        old = tuple(self._context.old_generations())
        if old and old != self._waiting:
            self._context.reporter.info(
                f"{', '.join(old)}: older than --min-gen-id, pruned when the active generations are ready"
            )
        self._waiting = old

    def _leases_ended(self) -> bool:
        context, options = self._context, self._context.options.install
        if not context.old_generations():
            return False
        plan = plan_prune(
            context.prefix, context.catalog, options.min_gen_id or 0, options.max_gen_id, options.selection
        )
        return bool(plan.generations)
