"""Tests that readers of a prefix neither fail nor report damage while an environment is evicted."""

import io
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.prefix.disk_budget import Amount, DiskBudget
from daemon.prefix.finding import Finding
from daemon.prefix.generation import published_names
from daemon.prefix.lease_record import read_leases
from daemon.prefix.usage import disk_bytes, read_usage
from daemon.report.progress import Reporter
from daemon.upkeep import prune_plan
from daemon.upkeep.eviction import eviction_rules, make_room
from daemon.upkeep.eviction_plan import ON_DEMAND
from daemon.upkeep.readiness import read_readiness
from daemon.upkeep.scan import scan
from daemon.upkeep.status import read_status
from daemon.upkeep.verify import verify
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.synthetic.catalog import environment_cell

_NAMES = ["g00000", "g00001"]


def _prefix(directory: Path) -> FakePrefix:
    """Make a prefix with two sealed generations, which share a wheel and a toolkit."""
    directory.mkdir(exist_ok=True)
    fake = FakePrefix(directory)
    alpha, beta, cudnn = fake.wheel("alpha"), fake.wheel("beta"), fake.cudnn_cell()
    fake.install(0, environment_cell([alpha, beta]), environment_cell([alpha], torch="2.1.0"), cudnn)
    fake.install(1, environment_cell([alpha]), cudnn)
    return fake


def _evict(fake: FakePrefix) -> None:
    """Evict all environments of the first generation."""
    catalog, prefix = fake.catalog, fake.prefix
    rules = eviction_rules(prefix, catalog, [catalog.generation(0)], (), ON_DEMAND)
    while published_names(prefix, "g00000") != {"cudnn9-cuda12"}:
        budget = DiskBudget(Amount("less", disk_bytes(prefix.root) - 1))
        make_room(prefix, budget, rules, 0, Reporter(io.StringIO()))


def _verify_and(
    fake: FakePrefix, moment: int, work: Callable[[FakePrefix], None]
) -> tuple[list[Finding], int]:
    """Verify everything, and run an action before the tree of a given number; count the trees."""
    seen = 0

    def each(_label: str) -> None:
        nonlocal seen
        if seen == moment:
            work(fake)
        seen += 1

    return verify(fake.prefix, _NAMES, 1, each, stores=True).findings, seen


def test_what_is_evicted_at_any_moment_of_a_look_is_no_damage(tmp_path: Path) -> None:
    before, trees = _verify_and(_prefix(tmp_path / "whole"), -1, _evict)
    assert before == []
    assert trees > 4
    for moment in range(trees):
        fake = _prefix(tmp_path / str(moment))
        findings, _ = _verify_and(fake, moment, _evict)
        assert findings == [], moment
        assert published_names(fake.prefix, "g00000") == {"cudnn9-cuda12"}
        assert verify(fake.prefix, _NAMES, 1, stores=True).findings == []


@pytest.mark.parametrize("attempt", range(3))
def test_no_look_fails_while_an_eviction_goes_on(tmp_path: Path, attempt: int) -> None:
    fake = _prefix(tmp_path / str(attempt))
    prefix, catalog = fake.prefix, fake.catalog
    stop = threading.Event()
    failures: list[object] = []
    counts: list[int] = []
    looks: list[Callable[[], object]] = [
        lambda: verify(prefix, _NAMES, 1, stores=True).findings,
        lambda: scan(prefix, _NAMES, full=True, jobs=1, stop=lambda: False),
        lambda: (read_status(prefix), read_usage(prefix), read_leases(prefix), None)[-1],
        lambda: (read_readiness(prefix, catalog, 0, None), None)[-1],
        lambda: prune_plan.plan_prune(prefix, catalog, prune_plan.PruneRules(1)).incomplete,
    ]

    def look_until_stopped(look: Callable[[], object]) -> None:
        count = 0
        while not stop.is_set() or not count:
            try:
                found = look()
            except Exception as error:
                failures.append(error)
                return
            if found:
                failures.append(found)
            count += 1
        counts.append(count)

    threads = [threading.Thread(target=look_until_stopped, args=(look,)) for look in looks]
    for thread in threads:
        thread.start()
    try:
        _evict(fake)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
    assert len(counts) == len(looks)
