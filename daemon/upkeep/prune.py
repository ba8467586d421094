"""Removes old generations and, when asked, what is not selected; then what nothing else uses.

A generation goes when its ID is below `--min-gen-id` and an active one can take its place. It stays while
`latest` names it or a model leases it. What is not selected of an active one goes when all that is selected
is sealed and no model leases it. Toolkits, interpreters, wheels in uv's cache, bytecode and contents go when
no remaining generation links them and no active definition names them; with `--prune-unselected`, none that
is selected.
"""

from pathlib import Path

from daemon.host.fault import fault_point
from daemon.host.removal import LinkCount
from daemon.host.system_error import system_errors
from daemon.prefix.lease import describe_lease, leased_folder
from daemon.prefix.prefix import Prefix
from daemon.prefix.publication import seal
from daemon.prefix.retirement import (
    empty_uv_cache,
    remove_evicted,
    remove_retired,
    remove_unused,
    retire,
    retire_environment,
    sync_names,
    unlink_toolkit,
)
from daemon.prefix.staging import begin_staging, end_staging
from daemon.prefix.writer_lock import WriterLock, writer_lock
from daemon.report.progress import Reporter
from daemon.upkeep.prune_plan import PrunePlan, PruneRules, plan_prune, reason_of_lease
from daemon.uv.leftovers import clean_leftovers
from daemon.uv.program import Uv
from gens.catalog import Catalog
from gens.generation import Generation, Target, Toolkit
from gens.selection import Selection


def prune(
    prefix: Prefix,
    catalog: Catalog,
    uv_program: Path,
    rules: PruneRules,
    reporter: Reporter,
    lock_timeout_s: float | None = None,
) -> PrunePlan:
    """Remove what a plan that is made under the writer lock names.

    Args:
        prefix: The prefix.
        catalog: The generations and their locks.
        uv_program: The uv binary.
        rules: What is to stay.
        reporter: Where progress is reported.
        lock_timeout_s: How long to wait for another writer; None waits without end.

    Returns:
        What was removed, with the bytes that were freed.

    Raises:
        MonobaseError: The prefix is in use, or cannot be written to.
    """
    if not prefix.generations.exists():
        return plan_prune(prefix, catalog, rules)
    with system_errors(prefix.root), writer_lock(prefix, lock_timeout_s, reporter.info) as writer:
        clean_leftovers(prefix, reporter)
        plan = plan_prune(prefix, catalog, rules)
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
            for generation in catalog.between(rules.min_gen_id, rules.max_gen_id):
                freed.add(_prune_unselected(writer, generation, catalog.resolve(rules.selection), plan))
            for path in plan.paths:
                freed.add(remove_unused(writer, path))
            end_staging(prefix)
            fault_point("prune:removed")
            Uv(uv_program, prefix, inherit=writer.descriptors).run("cache", "prune")
            plan.freed_bytes, plan.freed_inodes = freed.freed_bytes, freed.freed_inodes
            stage.facts.update(
                generations=plan.generations,
                unselected=plan.unselected,
                toolkits=len(plan.toolkits),
                interpreters=len(plan.interpreters),
                wheels=len(plan.wheels),
                freed_bytes=freed.freed_bytes,
            )
        return plan


def _prune_unselected(
    writer: WriterLock, generation: Generation, selection: Selection, plan: PrunePlan
) -> LinkCount:
    """Remove what is not selected of a generation, and seal it again for what is selected."""
    freed, name = LinkCount(), generation.directory_name
    labels = [label for label in plan.unselected if label.startswith(f"{name}/")]
    targets = {target.name: target for target in generation.targets}
    for label in labels:
        target = targets[label.partition("/")[2]]
        gone = _remove_target(writer, name, target)
        if gone is not None:
            freed.add(gone)
        else:  # a model has leased it since
            reason = reason_of_lease(writer.prefix, generation, target)
            plan.keep(label, reason or "a model leased it for a moment")
    if labels:
        seal(writer, generation, selection)
    return freed


def _remove_target(writer: WriterLock, generation: str, target: Target) -> LinkCount | None:
    if isinstance(target, Toolkit):
        return unlink_toolkit(writer, generation, target.name)
    retired = retire_environment(writer, generation, target.name)
    return None if retired is None else remove_evicted(writer, retired)


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
