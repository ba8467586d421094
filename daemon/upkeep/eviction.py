"""Evicts environments, so that a prefix stays within its disk budget.

An environment goes as a whole, and with it what nothing else uses: wheels in uv's cache, bytecode, contents,
interpreters. Nothing goes if that would not be enough: models would lose environments for nothing.
"""

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from daemon.errors import BudgetError
from daemon.host.fault import fault_point
from daemon.host.removal import LinkCount
from daemon.host.system_error import system_errors
from daemon.install.wanted import Wanted
from daemon.prefix.disk_budget import BudgetUse, DiskBudget, read_budget_use
from daemon.prefix.generation import is_present
from daemon.prefix.prefix import Prefix
from daemon.prefix.retirement import remove_evicted, remove_unused, retire_environment
from daemon.prefix.writer_lock import WriterLock, writer_lock
from daemon.report.progress import Reporter
from daemon.upkeep.eviction_plan import Evicted, EvictionPlan, EvictionRules, plan_eviction
from daemon.uv.leftovers import clean_leftovers
from gens.catalog import Catalog
from gens.errors import MonobaseError
from gens.generation import Generation, Toolkit
from gens.selection import Selection

_NAMED = 5


@dataclass(frozen=True, slots=True)
class Room:
    """The outcome of making room.

    Attributes:
        use: How much of the budget was used before.
        need_bytes: Estimate of the bytes that are about to be installed.
        plan: What goes, or went last.
        evicted: The environments that went.
        freed_bytes: Bytes that were freed.
    """

    use: BudgetUse
    need_bytes: int
    plan: EvictionPlan
    evicted: tuple[Evicted, ...] = ()
    freed_bytes: int = 0


def eviction_rules(
    prefix: Prefix,
    catalog: Catalog,
    generations: Sequence[Generation],
    wanted: Sequence[Wanted],
    selection: Selection,
    *,
    grace_s: int = 0,
) -> EvictionRules:
    """Return what may be evicted from the active generations.

    Args:
        prefix: The prefix.
        catalog: The generations and their locks.
        generations: The active generations.
        wanted: What is about to be installed, whose wheels stay in uv's cache.
        selection: The part of each generation that this node holds; what is required of it stays.
        grace_s: How long a new environment stays, as the model that asked for it has yet to lease it.
    """
    wheels = {wheel.sha256 for item in wanted for wheel in item.lock.wheels}
    for generation in generations:
        for target in generation.targets:
            if isinstance(target, Toolkit) and is_present(prefix, generation, target):
                with suppress(MonobaseError):  # a lock that cannot be read is reported where it is needed
                    wheels |= {wheel.sha256 for wheel in catalog.lock(generation, target).wheels}
    pythons = {target.inputs.python for generation in generations for target in generation.targets}
    names = frozenset(generation.directory_name for generation in generations)
    return EvictionRules(names, selection, frozenset(wheels), frozenset(pythons), grace_s)


def plan_room(
    prefix: Prefix, budget: DiskBudget, rules: EvictionRules, need_bytes: int, used_bytes: int | None = None
) -> Room:
    """Find what has to go before something can be installed, without writing.

    Args:
        prefix: The prefix; it exists.
        budget: The budget.
        rules: What may go.
        need_bytes: Bytes that are about to be installed.
        used_bytes: Bytes that the prefix takes, if they were counted since it last changed.

    Raises:
        DamageError: What is in use is not known.
        OSError: The prefix cannot be read.
    """
    use = read_budget_use(prefix, budget, used_bytes)
    plan = plan_eviction(prefix, rules, use.over_bytes(need_bytes), int(time.time()))
    return Room(use, need_bytes, plan)


def make_room(
    prefix: Prefix,
    budget: DiskBudget,
    rules: EvictionRules,
    need_bytes: int,
    reporter: Reporter,
    *,
    used_bytes: int | None = None,
    lock_timeout_s: float | None = None,
) -> Room:
    """Evict what has to go before something can be installed.

    Args:
        prefix: The prefix.
        budget: The budget.
        rules: What may go.
        need_bytes: Bytes that are about to be installed.
        reporter: Where progress is reported.
        used_bytes: Bytes that the prefix takes, if they were counted since it last changed.
        lock_timeout_s: How long to wait for another writer; None waits without end.

    Returns:
        What went.

    Raises:
        BudgetError: All that may go is not enough. Nothing went.
        MonobaseError: The prefix is in use, cannot be written to, or is damaged.
    """
    with system_errors(prefix.root):
        use = read_budget_use(prefix, budget, used_bytes)
        if not use.over_bytes(need_bytes):
            return Room(use, need_bytes, EvictionPlan(0))
        with writer_lock(prefix, lock_timeout_s, reporter.info) as writer:
            clean_leftovers(prefix, reporter)
            evicted: list[Evicted] = []
            freed_bytes = 0
            while True:
                room = plan_room(prefix, budget, rules, need_bytes)
                if not room.plan.is_enough:
                    raise BudgetError(shortage(prefix, budget, room))
                went, freed = _evict(writer, room.plan, reporter) if room.plan.over_bytes else ([], 0)
                evicted += went
                freed_bytes += freed
                if went == room.plan.environments:
                    return replace(room, evicted=tuple(evicted), freed_bytes=freed_bytes)


def shortage(prefix: Prefix, budget: DiskBudget, room: Room) -> str:
    """Return that an install waits for the budget: the figures, and what stays and why."""
    use, plan = room.use, room.plan
    kept = [f"{label}: {reason}" for label, reason in plan.kept.items()]
    more = f"; and {len(kept) - _NAMED} more" if len(kept) > _NAMED else ""
    stays = f"; what stays: {'; '.join(kept[:_NAMED])}{more}" if kept else ""
    short, advice = [], []
    if use.is_below_disk:
        short.append(f"{use.used_bytes:,} of {use.limit_bytes:,} ({budget}) are in use")
        advice.append("raise the budget")
    if room.need_bytes > use.free_bytes + plan.freed_bytes or not use.is_below_disk:
        short.append(f"{use.free_bytes:,} are free on the disk")
        advice.append("make room on the disk")
    said = (
        f"{prefix.root}: about {room.need_bytes:,} bytes are needed, {', '.join(short)}, and evicting all "
        f"that may go would free {plan.freed_bytes:,}; "
    )
    if room.need_bytes > use.limit_bytes:
        what = "the budget is too small" if use.is_below_disk else "the disk has too little room"
        return f"{said}{what} for it even when the prefix is empty: {' and '.join(advice)}"
    models = ", or end models" if plan.waits_for_models else ""
    return f"{said}{' and '.join(advice)}{models}{stays}"


def _evict(writer: WriterLock, plan: EvictionPlan, reporter: Reporter) -> tuple[list[Evicted], int]:
    """Carry out a plan, up to an environment that a model has leased meanwhile.

    What nothing uses even now goes first: that needs no room on the disk. What only the environments use goes
    last, once all of them are gone. There is no staging folder, for which a full disk has no room.

    Returns:
        The environments that went, and the bytes that were freed.
    """
    with reporter.stage("evict", len(plan.environments)) as stage:
        freed, gone = LinkCount(), []
        for path in plan.unused:
            freed.add(remove_unused(writer, path))
        for item in plan.environments:
            retired = retire_environment(writer, item.generation, item.name)
            if retired is None:
                break
            fault_point("evict:renamed")
            freed.add(remove_evicted(writer, retired))
            gone.append(item)
            reporter.tell(
                f"evicted {item}", target=item.label, last_use_s=item.last_use_s,
                freed_bytes=item.freed_bytes,
            )  # fmt: skip
            stage.advance()
        if len(gone) == len(plan.environments):
            for path in plan.paths:
                freed.add(remove_unused(writer, path))
        stage.facts.update(evicted=[item.label for item in gone], freed_bytes=freed.freed_bytes)
    return gone, freed.freed_bytes
