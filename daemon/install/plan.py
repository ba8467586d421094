"""Stage 1, plan: which environments and toolkits are missing, and what it takes to install them."""

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from daemon.errors import DamageError, DiskError
from daemon.install.wanted import Wanted, WheelToFetch, wheels_to_fetch
from daemon.prefix.disk_budget import NO_BUDGET, DiskBudget, read_budget_use
from daemon.prefix.generation import is_present, is_sealed
from daemon.prefix.prefix import Prefix
from gens.catalog import Catalog
from gens.errors import MonobaseError
from gens.generation import Generation
from gens.lock import LockedWheel
from gens.selection import EVERYTHING, Selection

# Of the 36 wheels of a torch 2.13 environment: 1.75 times their size when unpacked, and 0.06 of bytecode;
# of the 26 of CUDA 13.0: 1.63.
_UNPACKED_FACTOR = 1.9
# Of the same environment: 154 kB of wheel a file, but only 4 kB in packages without libraries.
_WHEEL_BYTES_PER_FILE = 60_000
_LEAST_FILES = 20
# Of the same: 2,288 folders, of 4.3 kB each, for 18,000 files, in each environment and again in uv's cache;
# a third of the files is sources, with one file of bytecode each.
_FILES_PER_FOLDER = 8
_FOLDER_BYTES = 4_300
_FILES_PER_SOURCE = 3


@dataclass(frozen=True, slots=True)
class GenerationPlan:
    """The plan of one generation.

    Attributes:
        generation: The generation.
        sealed: Whether all that is to be installed of it is sealed already.
        wanted: The environments and toolkits to install.
        present: Names of those that are installed.
        left_out: Names of those that are missing and not selected, or not due.
        failures: The errors of targets, such as `g00003/cuda12.4`, or of the generation as a whole, such as
            `g00003`, that cannot be planned.
    """

    generation: Generation
    sealed: bool
    wanted: tuple[Wanted, ...] = ()
    present: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    failures: Mapping[str, MonobaseError] = field(default_factory=dict)

    @property
    def can_be_sealed(self) -> bool:
        """True if no failure concerns the generation as a whole."""
        return self.generation.directory_name not in self.failures


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan of one install.

    Attributes:
        generations: The plan of each generation, newest first.
        fetch: The wheels to download, each once.
        disk_bytes: Estimate of the bytes that the disk will take.
        disk_inodes: Estimate of the inodes that the disk will take.
        broken: The errors of definitions that cannot be read, by name of the generation.
    """

    generations: tuple[GenerationPlan, ...]
    fetch: tuple[WheelToFetch, ...]
    disk_bytes: int
    disk_inodes: int
    broken: Mapping[str, MonobaseError] = field(default_factory=dict)

    @property
    def fetch_bytes(self) -> int:
        """Bytes to download."""
        return sum(item.wheel.size_bytes for item in self.fetch)

    @property
    def wanted(self) -> tuple[Wanted, ...]:
        """The environments and toolkits to install, newest generation first."""
        return tuple(wanted for plan in self.generations for wanted in plan.wanted)

    @property
    def failures(self) -> dict[str, MonobaseError]:
        """The errors of what cannot be installed, by `g00003` or `g00003/NAME`."""
        found = dict(self.broken)
        for plan in self.generations:
            found |= plan.failures
        return found


def make_plan(
    prefix: Prefix,
    catalog: Catalog,
    *,
    min_gen_id: int | None = None,
    max_gen_id: int | None = None,
    selection: Selection = EVERYTHING,
    due: Collection[str] = (),
) -> Plan:
    """Compare the active generations with those on the prefix.

    A lock that cannot be read keeps only its target out, a mark or a definition that cannot be read only its
    generation. `Plan.failures` names them.

    Args:
        prefix: The prefix.
        catalog: The generations and their locks.
        min_gen_id: Oldest active generation, or None.
        max_gen_id: Newest active generation, or None.
        selection: The part of each generation that this node holds.
        due: Names of the targets to install now, of the selected ones; none means all that are required.

    Returns:
        The plan.

    Raises:
        DefinitionError: No generation is active, or there is no such pool.
    """
    generations = sorted(catalog.between(min_gen_id, max_gen_id), key=lambda item: item.id, reverse=True)
    selection = catalog.resolve(selection)
    plans = []
    for generation in generations:
        names = {name for name in due if selection.has(name)} if due else selection.required(generation)
        plans.append(_plan_generation(prefix, catalog, generation, names))
    fetch = wheels_to_fetch(prefix, [wanted for plan in plans for wanted in plan.wanted])
    files = sum(_files(item.wheel) for item in fetch)
    links = sum(_files(wheel) for plan in plans for wanted in plan.wanted for wheel in wanted.lock.wheels)
    folders = (files + links) // _FILES_PER_FOLDER
    unpacked = sum(int(item.wheel.size_bytes * _UNPACKED_FACTOR) for item in fetch)
    return Plan(
        tuple(plans),
        fetch,
        disk_bytes=unpacked + folders * _FOLDER_BYTES,
        disk_inodes=files + files // _FILES_PER_SOURCE + folders,
        broken=catalog.broken_between(min_gen_id, max_gen_id),
    )


def needed_bytes(plan: Plan, *, copy: bool) -> int:
    """Return an estimate of the bytes that the disk will take.

    Args:
        plan: The plan.
        copy: Whether each environment takes its full size, as there are no hard links.
    """
    copied = sum(wanted.lock.size_bytes for wanted in plan.wanted) if copy else 0
    return plan.disk_bytes + int(copied * _UNPACKED_FACTOR)


def check_room(prefix: Prefix, plan: Plan, *, copy: bool, budget: DiskBudget = NO_BUDGET) -> None:
    """Refuse a plan that the disk cannot hold, or that passes the budget.

    Args:
        prefix: The prefix; it exists.
        plan: The plan.
        copy: Whether each environment takes its full size, as there are no hard links.
        budget: The most that the prefix may take.

    Raises:
        DiskError: The disk or the budget has not enough room; the message has the figures.
    """
    if not plan.wanted:
        return
    need = needed_bytes(plan, copy=copy)
    room = os.statvfs(prefix.root)
    _check_bytes(prefix, plan, need, room.f_bavail * room.f_frsize, budget)
    if room.f_files and plan.disk_inodes > room.f_favail:  # f_files is 0 where inodes are made as needed
        raise DiskError(
            f"{prefix.root}: about {plan.disk_inodes:,} inodes are needed for {len(plan.wanted)} "
            f"environments and toolkits, {room.f_favail:,} are free; use a file system with "
            "more inodes, or install less"
        )


def _check_bytes(prefix: Prefix, plan: Plan, need: int, free: int, budget: DiskBudget) -> None:
    short, advice = [], []
    if need > free:
        short.append(f"{free:,} are free")
        advice.append("make room on the disk")
    if budget.is_set:
        use = read_budget_use(prefix, budget)
        if use.is_below_disk and use.over_bytes(need):
            short.append(f"{use.used_bytes:,} of {use.limit_bytes:,} ({budget}) are in use")
            advice.append("raise the budget or make room with `evict`")
    if short:
        raise DiskError(
            f"{prefix.root}: about {need:,} bytes are needed for {len(plan.wanted)} environments "
            f"and toolkits ({plan.fetch_bytes:,} to download), {' and '.join(short)}; "
            f"{', and '.join(advice)}, or install less with --only, --min-gen-id"
        )


def _plan_generation(
    prefix: Prefix, catalog: Catalog, generation: Generation, names: Collection[str]
) -> GenerationPlan:
    present, left_out, wanted = [], [], []
    failures: dict[str, MonobaseError] = {}
    name = generation.directory_name
    try:
        if prefix.generation(name).is_symlink():
            raise DamageError(
                f"{prefix.generation(name)}: is a link, where a folder should be; move it away: nothing is "
                "installed through it"
            )
        if is_sealed(prefix, generation, names):
            return GenerationPlan(generation, sealed=True)
        for target in generation.targets:
            if is_present(prefix, generation, target):
                present.append(target.name)
            elif target.name not in names:
                left_out.append(target.name)
            else:
                try:
                    wanted.append(Wanted(generation, target, catalog.lock(generation, target)))
                except MonobaseError as error:
                    failures[f"{name}/{target.name}"] = error
    except MonobaseError as error:
        return GenerationPlan(generation, sealed=False, failures={name: error})
    except OSError as error:
        message = (
            f"{error.filename or prefix.generation(name)}: cannot be read: {error.strerror}; look at the disk"
        )
        return GenerationPlan(generation, sealed=False, failures={name: DamageError(message)})
    return GenerationPlan(generation, False, tuple(wanted), tuple(present), tuple(left_out), failures)


def _files(wheel: LockedWheel) -> int:
    return wheel.size_bytes // _WHEEL_BYTES_PER_FILE + _LEAST_FILES
