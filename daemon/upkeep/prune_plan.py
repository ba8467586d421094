"""The plan of a prune: which generations go, what only they use, and what that frees."""

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from daemon.host.removal import LinkCount
from daemon.prefix.generation import is_present, is_sealed, newer_format, published_names
from daemon.prefix.latest import latest_name
from daemon.prefix.lease import describe_lease, leased_folder
from daemon.prefix.prefix import Prefix
from daemon.prefix.unused import Used, read_used, unused_contents, unused_records, unused_trees
from daemon.uv.cache import unused_wheels
from gens.catalog import Catalog
from gens.errors import MonobaseError
from gens.generation import Generation
from gens.selection import EVERYTHING, Selection

_TRIES = 5


@dataclass(slots=True)
class PrunePlan:
    """The plan of a prune.

    Attributes:
        generations: Names of the generations to remove.
        kept: Names of old generations that stay, with the reason.
        toolkits: Names below `cuda/` to remove.
        interpreters: Names below `uv/python/` to remove.
        wheels: Names of packages whose wheels are removed from uv's cache.
        paths: All paths to remove beside the generations, those of toolkits and interpreters included.
        freed_bytes: Bytes that are free on the disk afterwards, links counted.
        freed_inodes: Inodes that are free afterwards.
        incomplete: Why only generations are removed; empty when nothing prevents the rest.
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
        """True when there is nothing to remove."""
        return not self.generations and not self.paths

    def keep(self, name: str, reason: str) -> None:
        """Keep a generation after all, and until the next prune everything that it may use."""
        self.generations.remove(name)
        self.kept[name] = reason
        self.paths, self.toolkits, self.interpreters, self.wheels = [], [], [], []


def plan_prune(
    prefix: Prefix,
    catalog: Catalog,
    min_gen_id: int,
    max_gen_id: int | None,
    selection: Selection = EVERYTHING,
) -> PrunePlan:
    """Find what a prune would remove, without writing.

    Args:
        prefix: The prefix.
        catalog: The generations and their locks.
        min_gen_id: Oldest active generation.
        max_gen_id: Newest active generation, or None.
        selection: The part of each generation that this node holds.

    Returns:
        The plan, with what it frees.

    Raises:
        DefinitionError: No generation is active, or there is no such pool.
    """
    selection = catalog.resolve(selection)
    for _ in range(_TRIES - 1):
        with suppress(FileNotFoundError):  # without the lock, another process may remove what is read here
            return _plan(prefix, catalog, min_gen_id, max_gen_id, selection)
    return _plan(prefix, catalog, min_gen_id, max_gen_id, selection)


def _plan(
    prefix: Prefix, catalog: Catalog, min_gen_id: int, max_gen_id: int | None, selection: Selection
) -> PrunePlan:
    active = catalog.between(min_gen_id, max_gen_id)
    plan = PrunePlan()
    latest = latest_name(prefix)
    count = LinkCount()
    remaining = []
    for name in prefix.installed_generations():
        is_old = int(name[1:]) < min_gen_id
        reason = _reason_to_stay(prefix, name, latest, active, selection) if is_old else ""
        if is_old and not reason:
            plan.generations.append(name)
            count.take_tree(str(prefix.generation(name)))
            continue
        remaining.append(name)
        if reason:
            plan.kept[name] = reason
    try:
        targets = [(generation, target) for generation in active for target in generation.targets]
        wheels = {wheel.sha256 for item in targets for wheel in catalog.lock(*item).wheels}
        used = read_used(prefix, remaining, wheels, {target.inputs.python for _, target in targets})
        for error in catalog.broken_between(min_gen_id, max_gen_id).values():
            raise error
    except (MonobaseError, OSError) as error:
        plan.incomplete = f"only generations are removed, as what is in use is not known: {error}"
    else:
        paths: dict[str, None] = {}  # two names of a wheel may lead to one archive
        for path in map(str, _unused_paths(prefix, used, plan, count)):
            if path not in paths:
                paths[path] = None
                count.take_tree(path)
        plan.paths = list(paths)
    plan.freed_bytes, plan.freed_inodes = count.freed_bytes, count.freed_inodes
    return plan


def _reason_to_stay(
    prefix: Prefix, name: str, latest: str | None, active: Sequence[Generation], selection: Selection
) -> str:
    """Return why an old generation stays; empty when it goes."""
    if reason := newer_format(prefix, name):
        return reason
    if name == latest:
        return "`latest` names it"
    leased = leased_folder(prefix.generation(name))
    if leased is not None:
        return describe_lease(leased)
    return _lack_of_a_successor(prefix, name, active, selection)


def _lack_of_a_successor(
    prefix: Prefix, name: str, active: Sequence[Generation], selection: Selection
) -> str:
    """Return what each active generation lacks to take the place of an old one; empty when one takes it.

    One that has all that is selected of it does, whatever that is: an operator asked for it. Another one does
    when it has all targets that the old one has and that its own definition names. Nothing need replace an
    empty one.
    """
    offered = published_names(prefix, name)
    if not offered:
        return ""
    lacking = []
    for generation in active:
        both = [target for target in generation.targets if target.name in offered]
        missing = [target.name for target in both if not is_present(prefix, generation, target)]
        if _is_sealed(prefix, generation, selection) or (both and not missing):
            return ""
        lacking.append(
            f"{generation.directory_name} has no {missing[0] if missing else 'part of what it has'} yet"
        )
    return f"no active generation takes its place: {'; '.join(lacking)}"


def _is_sealed(prefix: Prefix, generation: Generation, selection: Selection) -> bool:
    try:
        holds = bool(selection.targets(generation))
        return holds and is_sealed(prefix, generation, selection.required(generation))
    except (MonobaseError, OSError):
        return False


def _unused_paths(prefix: Prefix, used: Used, plan: PrunePlan, count: LinkCount) -> Iterator[Path | str]:
    """Yield what nothing uses; contents last, as their links are counted when all else is taken away."""
    names = {"toolkit": plan.toolkits, "interpreter": plan.interpreters}
    for unused in unused_trees(prefix, used):
        if unused.kind in names:
            names[unused.kind].append(unused.name)
        yield unused.path
    for wheel in unused_wheels(prefix.uv_cache, used.wheels):
        plan.wheels.append(wheel.package)
        yield from wheel.paths
    for unused in unused_records(prefix, used):
        yield unused.path
    for unused in unused_contents(prefix, count):
        yield unused.path
