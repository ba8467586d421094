"""Removes old generations, and what is not selected, once models can use another one."""

from daemon.service.context import ServiceContext
from daemon.upkeep.prune import clean_uv_cache, prune
from daemon.upkeep.prune_plan import PruneRules, plan_prune, unselected_labels


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
        """Remove the generations that are too old, and what is not selected, if the active ones are ready."""
        context, rules = self._context, self._rules()
        if not rules.old and not rules.unselected:
            return
        if not context.readiness().ready:
            self._say_what_waits()
            return
        if self._installed(rules) == self._pruned and not self._leases_ended(rules):
            return
        context.state.activity = "pruning"
        plan = prune(context.prefix, context.catalog, context.uv_program, rules, context.reporter)
        context.metrics.pruned_bytes.inc(plan.freed_bytes)
        if not plan.empty:
            context.is_counted = False
        for name, reason in plan.kept.items():
            what = "not selected" if "/" in name else "older than --min-gen-id"
            context.reporter.info(f"{name} is {what} and stays: {reason}")
        if plan.incomplete:
            context.reporter.warning(plan.incomplete)
        self._pruned = self._installed(rules)

    def _rules(self) -> PruneRules:
        options, install = self._context.options, self._context.options.install
        return PruneRules(
            install.min_gen_id or 0, install.max_gen_id, self._context.selection(),
            old=options.prune_old_gen and install.min_gen_id is not None, unselected=options.prune_unselected,
        )  # fmt: skip

    def _installed(self, rules: PruneRules) -> tuple[str, ...]:
        """Return the generations, and what is installed of the active ones and may go."""
        context = self._context
        unselected = self._unselected() if rules.unselected else []
        return (*context.prefix.installed_generations(), *unselected)

    def _unselected(self) -> list[str]:
        return unselected_labels(self._context.prefix, self._context.active(), self._context.selection())

    def _say_what_waits(self) -> None:
        old = tuple(self._context.old_generations())
        if self._context.options.prune_old_gen and old and old != self._waiting:
            self._context.reporter.info(
                f"{', '.join(old)}: older than --min-gen-id, pruned when the active generations are ready"
            )
        self._waiting = old

    def _leases_ended(self, rules: PruneRules) -> bool:
        """Return whether something of what stayed may go now."""
        context = self._context
        if not (rules.old and context.old_generations()) and not (rules.unselected and self._unselected()):
            return False
        plan = plan_prune(context.prefix, context.catalog, rules)
        return bool(plan.generations or plan.unselected)
