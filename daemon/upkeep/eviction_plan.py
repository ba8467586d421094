"""The plan of an eviction: which environments go, oldest lease first, what only they use, what that frees."""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from rich.filesize import decimal

from daemon.prefix.generation import newer_format
from daemon.prefix.lease import describe_lease
from daemon.prefix.lease_record import (
    InstalledEnvironment,
    last_leases,
    last_uses,
    read_lease_record,
    read_leases,
)
from daemon.prefix.prefix import Prefix
from daemon.prefix.removal_count import RemovalCount
from daemon.prefix.unused import (
    Used,
    read_used,
    read_uses,
    unused_records,
    unused_trees,
)
from daemon.prefix.use_count import UseCount
from daemon.uv.cache import CachedWheel, unused_wheels
from gens.selection import Selection

ON_DEMAND = Selection(eager=())


@dataclass(frozen=True, slots=True)
class EvictionRules:
    """The environments that may be evicted.

    Attributes:
        generations: Names of the generations whose environments can be installed again on demand.
        selection: The part of each generation that this node holds. What is not selected could not be
            installed again, and what is required never goes.
        wheels: Digests of wheels that stay in uv's cache, as they are about to be installed.
        pythons: Full versions of the interpreters that stay.
        grace_s: How long a new environment stays, as the model that asked for it has yet to lease it.
    """

    generations: Collection[str]
    selection: Selection = ON_DEMAND
    wheels: Collection[str] = ()
    pythons: Collection[str] = ()
    grace_s: int = 0

    def reason_to_stay(self, environment: InstalledEnvironment, leased_s: int, now_s: int) -> str:
        """Return why an environment stays that no model leases; empty when it may go.

        Args:
            environment: The environment.
            leased_s: When it was leased last; 0 for never.
            now_s: The time.
        """
        if environment.generation not in self.generations:
            return "its generation is not active, so it could not be installed again: `prune` removes it"
        if not self.selection.has(environment.name):
            return "it is not selected, so it could not be installed again"
        if self.selection.requires(environment.name):
            return f"{'--eager' if self.selection.eager else self.selection.option} names it"
        age_s = now_s - environment.installed_s
        # Below 0, the clock was set back: that must not keep it for as long.
        if leased_s < environment.installed_s and 0 <= age_s < self.grace_s:
            return f"it was installed {age_s} s ago, and no model has leased it yet"
        return ""


@dataclass(frozen=True, slots=True)
class Evicted:
    """An environment that goes.

    Attributes:
        generation: Name of its generation.
        name: Its name.
        last_use_s: When a model last leased it, or when it was installed; in seconds since the epoch.
        freed_bytes: Bytes on the disk that go with it: what it alone holds.
        was_leased: Whether that use was a lease, and not the installation.
    """

    generation: str
    name: str
    last_use_s: int
    freed_bytes: int
    was_leased: bool

    @property
    def label(self) -> str:
        """Name in messages: `g00003/python3.11`."""
        return f"{self.generation}/{self.name}"

    def __str__(self) -> str:
        """Text of a message: its label, when it was of use, and what it frees."""
        at = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(self.last_use_s))
        used = f"leased last at {at}" if self.was_leased else f"installed at {at}, not leased since"
        return f"{self.label}, {used}; frees {decimal(self.freed_bytes)}"


@dataclass(slots=True)
class EvictionPlan:
    """The plan of an eviction.

    Attributes:
        over_bytes: Bytes that have to go.
        environments: The environments that go, in this order.
        kept: Why others stay, by label.
        waits_for_models: Whether models lease some of what stays, so that it may go once they have ended.
        unused: What nothing uses even now, which is removed first.
        paths: What nothing uses once the environments are gone, which is removed after them.
        reclaimed_bytes: Bytes of what nothing uses even now.
        freed_bytes: Bytes that are free on the disk afterwards, links counted.
    """

    over_bytes: int
    environments: list[Evicted] = field(default_factory=list)
    kept: dict[str, str] = field(default_factory=dict)
    waits_for_models: bool = False
    unused: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    reclaimed_bytes: int = 0
    freed_bytes: int = 0

    @property
    def is_enough(self) -> bool:
        """True if the plan frees what has to go."""
        return self.freed_bytes >= self.over_bytes


def plan_eviction(prefix: Prefix, rules: EvictionRules, over_bytes: int, now_s: int) -> EvictionPlan:
    """Find what has to go, without writing: first what nothing uses, then the environments by last use.

    Args:
        prefix: The prefix.
        rules: What may go.
        over_bytes: Bytes that have to go.
        now_s: The time, in seconds since the epoch.

    Returns:
        The plan. It may free less than has to go.

    Raises:
        DamageError: What is in use is not known: a manifest cannot be read.
        NewerFormatError: A newer release has written one.
        OSError: The prefix cannot be read.
    """
    plan = EvictionPlan(over_bytes)
    if over_bytes <= 0:
        return plan
    environments = read_leases(prefix)
    leases = last_leases(environments, read_lease_record(prefix), now_s)
    last = last_uses(environments, leases, now_s)
    uses = {
        f"{generation}/{name}": used
        for generation in prefix.installed_generations()
        for name, used in read_uses(prefix, generation).items()
    }
    always = read_used(prefix, (), rules.wheels, rules.pythons)
    in_use = UseCount(prefix, always, uses.values())
    count = RemovalCount(prefix)
    count.take_unused_contents()
    _take_unused(prefix, count, in_use.used)
    plan.reclaimed_bytes = count.freed_bytes
    plan.unused = list(count.paths)
    stays = {
        item.label: rules.reason_to_stay(item, leases.get(item.label, 0), now_s) for item in environments
    }
    candidates = _candidates(prefix, stays, environments, plan)
    gone = _Gone(prefix, count, in_use)
    trees: list[str] = []
    for item in sorted(candidates, key=lambda item: (last[item.label], item.label)):
        if count.freed_bytes >= over_bytes:
            break
        before = count.freed_bytes
        trees.append(str(prefix.target(item.generation, item.name)))
        count.take(trees[-1])
        gone.take(uses.pop(item.label, Used()))
        freed = count.freed_bytes - before
        was_leased = leases.get(item.label, 0) >= min(item.installed_s, now_s)
        plan.environments.append(Evicted(item.generation, item.name, last[item.label], freed, was_leased))
    known = {*plan.unused, *trees}
    plan.paths = [path for path in count.paths if path not in known]
    plan.freed_bytes = count.freed_bytes
    return plan


def _candidates(
    prefix: Prefix,
    stays: Mapping[str, str],
    environments: Sequence[InstalledEnvironment],
    plan: EvictionPlan,
) -> Iterator[InstalledEnvironment]:
    """Yield what may go; note why the rest stays."""
    newer = {name: newer_format(prefix, name) for name in {item.generation for item in environments}}
    for item in environments:
        reason = newer[item.generation] or stays[item.label]
        if not reason and item.leased:
            reason = describe_lease(prefix.target(item.generation, item.name))
        elif not reason and item.generation_leased:
            reason = f"{describe_lease(prefix.generation(item.generation))}, with its whole generation"
        if reason:
            plan.kept[item.label] = reason
            may_go = not newer[item.generation] and not stays[item.label]
            plan.waits_for_models |= may_go
        else:
            yield item


def _take_unused(prefix: Prefix, count: RemovalCount, used: Used) -> None:
    """Count what nothing uses as removed."""
    for tree in unused_trees(prefix, used):
        count.take(tree.path)
    for wheel in unused_wheels(prefix.uv_cache, used.wheels):
        for path in wheel.paths:
            count.take(str(path))
    for record in unused_records(prefix, used):
        count.take(record.path)


class _Gone:
    """Counts as removed what nothing uses any more once an environment is gone, without reading all again.

    Args:
        prefix: The prefix.
        count: The count.
        in_use: What is in use.
    """

    def __init__(self, prefix: Prefix, count: RemovalCount, in_use: UseCount) -> None:
        self._prefix = prefix
        self._count = count
        self._in_use = in_use
        self._cached: dict[str, list[CachedWheel]] = {}
        for wheel in unused_wheels(prefix.uv_cache, frozenset()):
            for digest in wheel.digests:
                self._cached.setdefault(digest, []).append(wheel)

    def take(self, used: Used) -> None:
        """Count what only one environment has used."""
        gone = self._in_use.remove(used)
        if gone.interpreters:
            for tree in unused_trees(self._prefix, self._in_use.used):
                self._count.take(tree.path)
        for digest in sorted(gone.wheels):
            for wheel in self._cached.get(digest, ()):
                if not self._in_use.has_wheel(wheel.digests):
                    for path in wheel.paths:
                        self._count.take(str(path))
        for record in self._in_use.records(gone):
            self._count.take(record)
