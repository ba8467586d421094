"""Free what is no longer needed: old generations, and then what nothing else uses.

A generation goes when its ID is below `--min-gen-id` and another one can be used in its place; never an
active one, never the target of `latest`, never one that a model has leased. Then go the toolkits,
interpreters, wheels in uv's cache, bytecode and contents that no remaining generation links and no active
definition names.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from daemon.host.fault import fault_point
from daemon.host.removal import LinkCount
from daemon.host.system_error import system_errors
from daemon.prefix.generation import is_present, is_sealed, newer_format, published_names
from daemon.prefix.latest import latest_name
from daemon.prefix.lease import describe_lease, is_leased
from daemon.prefix.prefix import Prefix
from daemon.prefix.retirement import empty_uv_cache, remove_retired, remove_unused, retire, sync_names
from daemon.prefix.staging import begin_staging, end_staging
from daemon.prefix.unused import Used, read_used, unused_contents, unused_records, unused_trees
from daemon.prefix.writer_lock import writer_lock
from daemon.report.progress import Reporter
from daemon.uv.cache import unused_wheels
from daemon.uv.leftovers import clean_leftovers
from daemon.uv.program import Uv
from gens.catalog import Catalog
from gens.errors import MonobaseError
from gens.generation import Generation

_LOOKS = 5


@dataclass(slots=True)
class PrunePlan:
    """What would go.

    Attributes:
        generations: Names of generations.
        kept: Generations that are old and stay, with the reason.
        toolkits: Names below `cuda/`.
        interpreters: Names below `uv/python/`.
        wheels: Names of packages whose wheels go from uv's cache.
        paths: All that goes beside the generations; toolkits and interpreters among it.
        freed_bytes: Bytes that are free on the disk afterwards, links counted.
        freed_inodes: Inodes that are free afterwards.
        incomplete: Why only generations would go; empty when nothing is in the way.
    """

    generations: list[str] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)
    toolkits: list[str] = field(default_factory=list)
    interpreters: list[str] = field(default_factory=list)
    wheels: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    freed_bytes: int = 0
    freed_inodes: int = 0
    incomplete: str = ""

    @property
    def empty(self) -> bool:
        """Whether nothing would go."""
        return not self.generations and not self.paths


def plan_prune(prefix: Prefix, catalog: Catalog, min_gen_id: int, max_gen_id: int | None) -> PrunePlan:
    """Find what may go. Nothing is written.

    Args:
        prefix: The prefix.
        catalog: The generations and their locks.
        min_gen_id: Oldest active generation.
        max_gen_id: Newest active generation, or None.

    Returns:
        The plan, with what it frees.

    Raises:
        DefinitionError: No generation is active.
    """
    for _ in range(_LOOKS):
        with suppress(FileNotFoundError):  # without the lock, something may go while it is looked at
            return _plan(prefix, catalog, min_gen_id, max_gen_id)
    return _plan(prefix, catalog, min_gen_id, max_gen_id)


def _plan(prefix: Prefix, catalog: Catalog, min_gen_id: int, max_gen_id: int | None) -> PrunePlan:
    active = catalog.between(min_gen_id, max_gen_id)
    plan = PrunePlan()
    latest = latest_name(prefix)
    remaining = []
    for name in prefix.installed_generations():
        if int(name[1:]) >= min_gen_id:
            remaining.append(name)
        elif reason := newer_format(prefix, name):
            plan.kept[name] = reason
            remaining.append(name)
        elif name == latest:
            plan.kept[name] = "`latest` names it"
            remaining.append(name)
        elif is_leased(prefix.generation(name)):
            plan.kept[name] = describe_lease(prefix.generation(name))
            remaining.append(name)
        elif reason := _without_successor(prefix, name, active):
            plan.kept[name] = reason
            remaining.append(name)
        else:
            plan.generations.append(name)
    count = LinkCount()
    for name in plan.generations:
        count.take_tree(str(prefix.generation(name)))
    try:
        targets = [(generation, target) for generation in active for target in generation.targets]
        wheels = {wheel.sha256 for item in targets for wheel in catalog.lock(*item).wheels}
        used = read_used(prefix, remaining, wheels, {target.inputs.python for _, target in targets})
        for error in catalog.broken_between(min_gen_id, max_gen_id).values():
            raise error
    except (MonobaseError, OSError) as error:
        plan.incomplete = f"what is in use cannot be told: {error}"
    else:
        _plan_unused(prefix, used, plan, count)
    plan.freed_bytes, plan.freed_inodes = count.freed_bytes, count.freed_inodes
    return plan


def prune(
    prefix: Prefix,
    catalog: Catalog,
    uv_program: Path,
    min_gen_id: int,
    max_gen_id: int | None,
    reporter: Reporter,
    lock_timeout_s: float | None = None,
) -> PrunePlan:
    """Remove what may go.

    Args:
        prefix: The prefix.
        catalog: The generations and their locks.
        uv_program: The uv binary.
        min_gen_id: Oldest active generation.
        max_gen_id: Newest active generation, or None.
        reporter: Where it is told.
        lock_timeout_s: How long to wait for another writer; None waits without end.

    Returns:
        What went, with the bytes that were freed.

    Raises:
        MonobaseError: The prefix is in use, or cannot be written to.
    """
    if not prefix.generations.exists():  # nothing was installed yet, or all but the first folders
        return plan_prune(prefix, catalog, min_gen_id, max_gen_id)
    with (
        system_errors(prefix.root),
        writer_lock(prefix, lock_timeout_s, reporter.info) as writer,
    ):
        clean_leftovers(prefix, reporter)
        plan = plan_prune(prefix, catalog, min_gen_id, max_gen_id)
        if plan.empty:
            return plan
        with reporter.stage("prune") as stage:
            begin_staging(prefix)
            freed = LinkCount()
            for name in list(plan.generations):
                if not retire(writer, name):
                    plan.generations.remove(name)
                    plan.kept[name] = describe_lease(prefix.generation(name))
                    # What it uses stays until the next prune.
                    plan.paths, plan.toolkits, plan.interpreters, plan.wheels = [], [], [], []
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
    """Empty uv's cache. Installed generations keep their files, and later wheels share with them again.

    Args:
        prefix: The prefix.
        reporter: Where it is told.
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


def _without_successor(prefix: Prefix, name: str, active: Sequence[Generation]) -> str:
    """Say why nothing takes the place of a generation yet; empty when something does, or nothing needs to.

    A sealed active generation does, whatever it offers: that is what somebody asked for. So does one that is
    not sealed (a part, by `--only`), when all is there that the old one offers and the active one defines.
    """
    offered = published_names(prefix, name)
    if not offered:
        return ""
    lacking = []
    for generation in active:
        if _is_sealed(prefix, generation):
            return ""
        both = [target for target in generation.targets if target.name in offered]
        missing = [target.name for target in both if not is_present(prefix, generation, target)]
        if both and not missing:
            return ""
        lacking.append(
            f"{generation.directory_name} has no {missing[0] if missing else 'part of what it has'} yet"
        )
    return f"no active generation takes its place: {'; '.join(lacking)}"


def _is_sealed(prefix: Prefix, generation: Generation) -> bool:
    try:
        return is_sealed(prefix, generation)
    except (MonobaseError, OSError):
        return False


def _plan_unused(prefix: Prefix, used: Used, plan: PrunePlan, count: LinkCount) -> None:
    gone: set[str] = set()

    def go(path: Path | str) -> None:
        if str(path) not in gone:  # two names of a wheel may lead to one archive
            gone.add(str(path))
            plan.paths.append(str(path))
            count.take_tree(str(path))

    for unused in unused_trees(prefix, used):
        if unused.kind == "toolkit":
            plan.toolkits.append(unused.name)
        elif unused.kind == "interpreter":
            plan.interpreters.append(unused.name)
        go(unused.path)
    for wheel in unused_wheels(prefix.uv_cache, used.wheels):
        plan.wheels.append(wheel.package)
        go(wheel.pointer)
        if os.path.lexists(wheel.link):
            go(wheel.link)
        if wheel.archive is not None:
            go(wheel.archive)
    for unused in unused_records(prefix, used):
        go(unused.path)
    for unused in unused_contents(prefix, count):
        go(unused.path)
