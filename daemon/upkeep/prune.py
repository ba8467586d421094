"""Removes old generations, and then what nothing else uses.

A generation goes when its ID is below `--min-gen-id` and an active one can take its place. It stays while
`latest` names it or a model leases it. Toolkits, interpreters, wheels in uv's cache, bytecode and contents go
when no remaining generation links them and no active definition names them.
"""

from pathlib import Path

from daemon.host.fault import fault_point
from daemon.host.removal import LinkCount
from daemon.host.system_error import system_errors
from daemon.prefix.lease import describe_lease, leased_folder
from daemon.prefix.prefix import Prefix
from daemon.prefix.retirement import empty_uv_cache, remove_retired, remove_unused, retire, sync_names
from daemon.prefix.staging import begin_staging, end_staging
from daemon.prefix.writer_lock import writer_lock
from daemon.report.progress import Reporter
from daemon.upkeep.prune_plan import PrunePlan, plan_prune
from daemon.uv.leftovers import clean_leftovers
from daemon.uv.program import Uv
from gens.catalog import Catalog
from gens.selection import EVERYTHING, Selection


def prune(
    prefix: Prefix,
    catalog: Catalog,
    uv_program: Path,
    min_gen_id: int,
    max_gen_id: int | None,
    reporter: Reporter,
    lock_timeout_s: float | None = None,
    *,
    selection: Selection = EVERYTHING,
) -> PrunePlan:
    """Remove what a plan that is made under the writer lock names.

    Args:
        prefix: The prefix.
        catalog: The generations and their locks.
        uv_program: The uv binary.
        min_gen_id: Oldest active generation.
        max_gen_id: Newest active generation, or None.
        reporter: Where progress is reported.
        lock_timeout_s: How long to wait for another writer; None waits without end.
        selection: The part of each generation that this node holds.

    Returns:
        What was removed, with the bytes that were freed.

    Raises:
        MonobaseError: The prefix is in use, or cannot be written to.
    """
    if not prefix.generations.exists():
        return plan_prune(prefix, catalog, min_gen_id, max_gen_id, selection)
    with system_errors(prefix.root), writer_lock(prefix, lock_timeout_s, reporter.info) as writer:
        clean_leftovers(prefix, reporter)
        plan = plan_prune(prefix, catalog, min_gen_id, max_gen_id, selection)
        if plan.empty:
            return plan
        with reporter.stage("prune") as stage:
            begin_staging(prefix)
            freed = LinkCount()
            for name in list(plan.generations):
                if not retire(writer, name):  # a model has leased it since
                    folder = prefix.generation(name)
                    plan.keep(name, describe_lease(leased_folder(folder) or folder))
            sync_names(prefix)
            fault_point("prune:renamed")
            for name in plan.generations:
                freed.add(remove_retired(writer, name))
            for path in plan.paths:
                freed.add(remove_unused(writer, path))
            end_staging(prefix)
            fault_point("prune:removed")
            Uv(uv_program, prefix, inherit=writer.descriptors).run("cache", "prune")
            plan.freed_bytes, plan.freed_inodes = freed.freed_bytes, freed.freed_inodes
            stage.facts.update(
                generations=plan.generations,
                toolkits=len(plan.toolkits),
                interpreters=len(plan.interpreters),
                wheels=len(plan.wheels),
                freed_bytes=freed.freed_bytes,
            )
        return plan


def clean_uv_cache(prefix: Prefix, reporter: Reporter, lock_timeout_s: float | None = None) -> int:
    """Empty uv's cache; installed generations keep their files, and later wheels share with them again.

    Args:
        prefix: The prefix.
        reporter: Where progress is reported.
        lock_timeout_s: How long to wait for another writer; None waits without end.

    Returns:
        The bytes that were freed.

    Raises:
        MonobaseError: The prefix is in use, or cannot be written to.
    """
    with system_errors(prefix.root), writer_lock(prefix, lock_timeout_s, reporter.info) as writer:
        clean_leftovers(prefix, reporter)
        with reporter.stage("clean") as stage:
            freed_bytes = empty_uv_cache(writer)
            stage.facts["freed_bytes"] = freed_bytes
    return freed_bytes
