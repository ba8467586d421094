"""The command `evict`."""

from dataclasses import replace

from rich.filesize import decimal

from daemon.cli.node_catalog import NodeCatalog
from daemon.cli.reporting import make_reporter
from daemon.cli.settings import EvictSettings
from daemon.errors import BudgetError
from daemon.host.system_error import system_errors
from daemon.install.plan import make_plan, needed_bytes
from daemon.install.wanted import Wanted
from daemon.prefix.machine import check_machine
from daemon.prefix.prefix import prefix_at
from daemon.report.progress import Reporter
from daemon.upkeep.eviction import Room, eviction_rules, make_room, plan_room, shortage
from gens.selection import Selection, check_patterns


def evict(settings: EvictSettings) -> None:
    """Evict environments, or with `--dry-run` only print which.

    Raises:
        BudgetError: All that may go is not enough.
    """
    active, budget = settings.active, settings.budget.budget
    prefix = prefix_at(settings.prefix)
    reporter = make_reporter(settings.program.log_format)
    check_machine(prefix)
    catalog = NodeCatalog(settings.program.gens).load()
    generations = catalog.between(active.min_gen_id, active.max_gen_id)
    chosen = active.selected.selection
    # What a pool names stays, unless models ask for it on demand.
    eager = settings.eager if settings.eager or chosen.pool is None else None
    selection = catalog.resolve(replace(chosen, eager=eager))
    selection.check(generations)
    check_patterns(generations, settings.room_for, "--room-for")
    if not prefix.root.is_dir():
        reporter.info(f"nothing has to go: there is no prefix at {prefix.root}")
        return
    wanted: tuple[Wanted, ...] = ()
    need_bytes = 0
    if settings.room_for:
        plan = make_plan(
            prefix, catalog, min_gen_id=active.min_gen_id, max_gen_id=active.max_gen_id,
            selection=Selection(settings.room_for),
        )  # fmt: skip
        wanted, need_bytes = plan.wanted, needed_bytes(plan, copy=settings.copy)
    rules = eviction_rules(prefix, catalog, generations, wanted, selection)
    if settings.dry_run:
        with system_errors(prefix.root):
            room = plan_room(prefix, budget, rules, need_bytes)
        _show(room, reporter, "would go")
        if not room.plan.is_enough:
            raise BudgetError(shortage(prefix, budget, room))
    else:
        room = make_room(prefix, budget, rules, need_bytes, reporter, lock_timeout_s=settings.lock_timeout)
        _show(room, reporter, "gone")


def _show(room: Room, reporter: Reporter, what: str) -> None:
    plan, use = room.plan, room.use
    gone = room.evicted or plan.environments  # an eviction that models interrupted has had several plans
    freed_bytes = room.freed_bytes or plan.freed_bytes
    for label, reason in plan.kept.items():
        reporter.info(f"{label} stays: {reason}", target=label)
    for item in gone:
        reporter.tell(
            f"{what}: {item}", target=item.label, last_use_s=item.last_use_s, freed_bytes=item.freed_bytes
        )
    needed = f", {decimal(room.need_bytes)} are needed" if room.need_bytes else ""
    used = f"{decimal(use.used_bytes)} of {decimal(use.limit_bytes)} were in use{needed}"
    number = f"{len(gone)} environment{'' if len(gone) == 1 else 's'}"
    unused = (
        f", of which nothing uses {decimal(plan.reclaimed_bytes)} even now" if plan.reclaimed_bytes else ""
    )
    reporter.tell(
        f"{what}: {number}, which frees {decimal(freed_bytes)}{unused}; {used}"
        if plan.over_bytes
        else f"nothing has to go: {used}",
        environments=[item.label for item in gone],
        freed_bytes=freed_bytes,
        unused_bytes=plan.reclaimed_bytes,
        used_bytes=use.used_bytes,
        budget_bytes=use.limit_bytes,
        needed_bytes=room.need_bytes,
    )
