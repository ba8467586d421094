"""The plan of a prune: which generations and environments go, what only they use, and what that frees."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from daemon.host.removal import LinkCount
from daemon.prefix.generation import is_present, is_sealed, newer_format, published_names
from daemon.prefix.latest import latest_name
from daemon.prefix.lease import describe_lease, is_leased, leased_folder
from daemon.prefix.prefix import Prefix
from daemon.prefix.unused import Used, read_used, unused_contents, unused_records, unused_trees
from daemon.uv.cache import unused_wheels
from gens.catalog import Catalog
from gens.errors import MonobaseError
from gens.generation import Generation, Target, Toolkit
from gens.selection import EVERYTHING, Selection

_TRIES = 5


@dataclass(frozen=True, slots=True)
class PruneRules:
    """The desired state of a node, as a prune takes it.

    Attributes:
        min_gen_id: Oldest active generation.
        max_gen_id: Newest active generation, or None.
        selection: The part of each generation that this node holds.
        old: Whether generations below `min_gen_id` are to go.
        unselected: Whether that is to go of the active generations which is not selected.
    """

    min_gen_id: int
    max_gen_id: int | None = None
    selection: Selection = EVERYTHING
    old: bool = True
    unselected: bool = False


@dataclass(slots=True)
class PrunePlan:
    """The plan of a prune.

    Attributes:
        generations: Names of the generations to remove.
        unselected: Environments and toolkits of other generations to remove, by label.
        kept: Names of old generations, and labels of what is not selected, that stay, with the reason.
        toolkits: Names below `cuda/` to remove.
        interpreters: Names below `uv/python/` to remove.
        wheels: Names of packages whose wheels are removed from uv's cache.
        paths: All paths to remove beside the generations, those of toolkits and interpreters included.
        freed_bytes: Bytes that are free on the disk afterwards, links counted.
        freed_inodes: Inodes that are free afterwards.
        incomplete: Why only generations are removed; empty when nothing prevents the rest.
    """

    generations: list[str] = field(default_factory=list)
    unselected: list[str] = field(default_factory=list)
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
        return not self.generations and not self.unselected and not self.paths

    def keep(self, name: str, reason: str) -> None:
        """Keep a generation, environment or toolkit after all, and what it may use until the next prune."""
        (self.generations if name in self.generations else self.unselected).remove(name)
        self.kept[name] = reason
        self.paths, self.toolkits, self.interpreters, self.wheels = [], [], [], []


def plan_prune(prefix: Prefix, catalog: Catalog, rules: PruneRules) -> PrunePlan:
    """Find what a prune would remove, without writing.

    Args:
        prefix: The prefix.
        catalog: The generations and their locks.
        rules: What is to stay.

    Returns:
        The plan, with what it frees.

    Raises:
        DefinitionError: No generation is active, the selection matches nothing, or there is no such pool.
    """
    rules = replace(rules, selection=catalog.resolve(rules.selection))
    rules.selection.check(catalog.between(rules.min_gen_id, rules.max_gen_id))
    for _ in range(_TRIES - 1):
        with suppress(FileNotFoundError):  # without the lock, another process may remove what is read here
            return _plan(prefix, catalog, rules)
    return _plan(prefix, catalog, rules)


def unselected_labels(prefix: Prefix, active: Iterable[Generation], selection: Selection) -> list[str]:
    """Return the labels of what is installed of the active generations, and not selected."""
    return [
        f"{generation.directory_name}/{target.name}"
        for generation in active
        for target in generation.targets
        if not selection.has(target.name) and is_present(prefix, generation, target)
    ]


def _plan(prefix: Prefix, catalog: Catalog, rules: PruneRules) -> PrunePlan:
    selection = rules.selection
    active = catalog.between(rules.min_gen_id, rules.max_gen_id)
    plan = PrunePlan()
    count = LinkCount()
    remaining = _plan_generations(prefix, active, rules, plan)
    for name in plan.generations:
        count.take_tree(str(prefix.generation(name)))
    if rules.unselected:
        kept = [generation for generation in active if generation.directory_name in remaining]
        _plan_unselected(prefix, kept, selection, plan)
        for label in plan.unselected:
            count.take_tree(str(prefix.target(*label.split("/"))))
    try:
        needed = selection if rules.unselected else EVERYTHING
        targets = [(generation, target) for generation in active for target in needed.targets(generation)]
        wheels = {wheel.sha256 for item in targets for wheel in catalog.lock(*item).wheels}
        pythons = {target.inputs.python for _, target in targets}
        used = read_used(prefix, remaining, wheels, pythons, frozenset(plan.unselected))
        for error in catalog.broken_between(rules.min_gen_id, rules.max_gen_id).values():
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


def _plan_generations(
    prefix: Prefix, active: Sequence[Generation], rules: PruneRules, plan: PrunePlan
) -> list[str]:
    """Plan which generations go as a whole, and return the names of the others.

    Those are the old ones, and with `unselected` those of which nothing is selected.
    """
    remaining = []
    empty = {item.directory_name for item in active if not rules.selection.targets(item)}
    for name in prefix.installed_generations():
        is_asked_for = rules.old and int(name[1:]) < rules.min_gen_id
        is_asked_for |= rules.unselected and name in empty
        others = [generation for generation in active if generation.directory_name != name]
        reason = _reason_to_stay(prefix, name, others, rules.selection) if is_asked_for else ""
        if is_asked_for and not reason:
            plan.generations.append(name)
            continue
        remaining.append(name)
        if reason:
            plan.kept[name] = reason
    return remaining


def _plan_unselected(
    prefix: Prefix, active: Sequence[Generation], selection: Selection, plan: PrunePlan
) -> None:
    """Plan which environments and toolkits go alone: what is not selected of generations that stay."""
    for generation in active:
        name = generation.directory_name
        labels = unselected_labels(prefix, [generation], selection)
        of_all = newer_format(prefix, name) if labels else ""
        if labels and not of_all and not _is_sealed(prefix, generation, selection):
            of_all = f"not all that is selected of {name} is installed yet"
        targets = {target.name: target for target in generation.targets}
        for label in labels:
            reason = of_all or reason_of_lease(prefix, generation, targets[label.partition("/")[2]])
            if reason:
                plan.kept[label] = reason
            else:
                plan.unselected.append(label)


def reason_of_lease(prefix: Prefix, generation: Generation, target: Target) -> str:
    """Return who leases an environment or its generation; empty when nobody does.

    A toolkit has no lease of its own: whoever leases an environment of its generation may use it.
    """
    directory = prefix.generation(generation.directory_name)
    if isinstance(target, Toolkit):
        leased = leased_folder(directory)
    else:
        leased = next((folder for folder in (directory, directory / target.name) if is_leased(folder)), None)
    return describe_lease(leased) if leased is not None else ""


def _reason_to_stay(prefix: Prefix, name: str, active: Sequence[Generation], selection: Selection) -> str:
    """Return why a generation stays; empty when it goes."""
    if reason := newer_format(prefix, name):
        return reason
    if name == latest_name(prefix):
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
        if _is_sealed(prefix, generation, selection):
            return ""
        both = [target for target in generation.targets if target.name in offered]
        missing = [target.name for target in both if not is_present(prefix, generation, target)]
        if both and not missing:
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
