"""The command `prune`."""

from daemon.cli.node_catalog import NodeCatalog
from daemon.cli.reporting import make_reporter
from daemon.cli.settings import PruneSettings
from daemon.prefix.machine import check_machine
from daemon.prefix.prefix import prefix_at
from daemon.upkeep import prune as pruning
from daemon.upkeep import prune_plan
from daemon.uv.program import find_uv


def prune(settings: PruneSettings) -> None:
    """Remove old generations and what is not selected, or with `--dry-run` only print which."""
    program = settings.program
    prefix = prefix_at(settings.prefix)
    reporter = make_reporter(program.log_format)
    check_machine(prefix)
    catalog = NodeCatalog(program.gens).load()
    rules = prune_plan.PruneRules(
        settings.min_gen_id, settings.max_gen_id, settings.selected.selection,
        unselected=settings.prune_unselected,
    )  # fmt: skip
    if settings.dry_run:
        plan = prune_plan.plan_prune(prefix, catalog, rules)
    else:
        plan = pruning.prune(prefix, catalog, find_uv(program.uv), rules, reporter, settings.lock_timeout)
    if plan.incomplete:
        reporter.warning(plan.incomplete)
    for name, reason in plan.kept.items():
        reporter.info(f"{name} stays: {reason}", generation=name)
    reporter.info(
        "would go" if settings.dry_run else "gone",
        generations=plan.generations,
        unselected=plan.unselected,
        toolkits=plan.toolkits,
        interpreters=plan.interpreters,
        wheels=len(plan.wheels),
        inodes=plan.freed_inodes,
        freed_bytes=plan.freed_bytes,
    )
