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
    """Remove old generations, or with `--dry-run` only print which."""
    program, min_gen_id, max_gen_id = settings.program, settings.min_gen_id, settings.max_gen_id
    prefix = prefix_at(settings.prefix)
    reporter = make_reporter(program.log_format)
    check_machine(prefix)
    catalog = NodeCatalog(program.gens).load()
    selection = settings.selected.selection
    if settings.dry_run:
        plan = prune_plan.plan_prune(prefix, catalog, min_gen_id, max_gen_id, selection)
    else:
        plan = pruning.prune(
            prefix, catalog, find_uv(program.uv), min_gen_id, max_gen_id, reporter, settings.lock_timeout,
            selection=selection,
        )  # fmt: skip
    if plan.incomplete:
        reporter.warning(plan.incomplete)
    for name, reason in plan.kept.items():
        reporter.info(f"{name} stays: {reason}", generation=name)
    reporter.info(
        "would go" if settings.dry_run else "gone",
        generations=plan.generations,
        toolkits=plan.toolkits,
        interpreters=plan.interpreters,
        wheels=len(plan.wheels),
        inodes=plan.freed_inodes,
        freed_bytes=plan.freed_bytes,
    )
