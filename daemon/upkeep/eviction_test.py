"""Evictions: the oldest lease goes first, whole, and only as much as has to."""

import fcntl
import io
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace

import pytest

from daemon.errors import BudgetError, DamageError, NewerFormatError
from daemon.install.wanted import Wanted
from daemon.prefix.disk_budget import Amount, BudgetUse, DiskBudget
from daemon.prefix.environments_file import read_targets
from daemon.prefix.generation import is_sealed, published_names
from daemon.prefix.lease_record import InstalledEnvironment, write_lease_record
from daemon.prefix.prefix import Prefix
from daemon.prefix.retirement import RetiredEnvironment, retire_environment
from daemon.prefix.unused import Unused, Used, unused_records
from daemon.prefix.usage import disk_bytes
from daemon.prefix.writer_lock import WriterLock, writer_lock
from daemon.report.progress import Reporter
from daemon.upkeep import eviction, eviction_plan
from daemon.upkeep.eviction import Room, eviction_rules, make_room, plan_room, shortage
from daemon.upkeep.eviction_plan import ON_DEMAND, EvictionPlan, EvictionRules
from daemon.upkeep.verify import verify
from gens.selection import Selection
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.index.wheel import Wheel
from tests.synthetic.catalog import PYTHON, environment_cell

_RELEASES = ("2.1.0", "2.2.0", "2.3.0", "2.4.0")
_OWN_BYTES = 1_000_000
_FAR = 2_000_000_000  # after any installation


class _Site:
    """A sealed generation of environments, each with a large wheel of its own and a small one of all."""

    def __init__(self, directory: Path) -> None:
        self.fake = FakePrefix(directory)
        self.prefix = self.fake.prefix
        shared = self.fake.wheel("shared")
        self.own = [self._own(release) for release in _RELEASES]
        self.fake.install(
            0,
            *(
                environment_cell([shared, own], torch=release)
                for release, own in zip(_RELEASES, self.own, strict=True)
            ),
        )
        self.names = [f"python{PYTHON}-torch{release}-cpu" for release in _RELEASES]
        self.log = io.StringIO()
        self.eager: Sequence[str] = ()
        with writer_lock(self.prefix, 0, lambda _: None):
            pass  # makes the lock files, which count as well

    def _own(self, release: str) -> Wheel:
        return self.fake.wheel(
            "own", release, files={"own/data": os.urandom(_OWN_BYTES), "own/__init__.py": b""}
        )

    def use(self, *names: str) -> None:
        """Record leases, the first name's as the oldest, all after the installation."""
        write_lease_record(self.prefix, {f"g00000/{name}": _FAR + i for i, name in enumerate(names)})

    def rules(self) -> EvictionRules:
        catalog = self.fake.catalog
        selection = Selection(eager=tuple(self.eager))
        return eviction_rules(self.prefix, catalog, catalog.between(None, None), (), selection)

    def evict(self, less_bytes: int, need_bytes: int = 0) -> Room:
        """Make room, within a budget that is some bytes less than what the prefix takes."""
        budget = DiskBudget(most=Amount("some", disk_bytes(self.prefix.root) - less_bytes))
        return make_room(self.prefix, budget, self.rules(), need_bytes, Reporter(self.log, "json"))

    def left(self) -> list[str]:
        return sorted(published_names(self.prefix, "g00000"))

    @contextmanager
    def lease(self, name: str = "") -> Iterator[None]:
        descriptor = os.open(self.prefix.generation("g00000") / name, os.O_RDONLY)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            yield
        finally:
            os.close(descriptor)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Site:
    monkeypatch.setattr(eviction, "time", SimpleNamespace(time=lambda: _FAR + 1000))
    return _Site(tmp_path)


def test_what_was_never_leased_is_told_from_what_was(site: _Site) -> None:
    site.use(site.names[0])
    budget = DiskBudget(Amount("some", disk_bytes(site.prefix.root) - 3 * _OWN_BYTES))
    found = plan_room(site.prefix, budget, site.rules(), _OWN_BYTES // 2).plan.environments
    assert {item.name: item.was_leased for item in found} == {
        name: name == site.names[0] for name in site.names
    }
    assert "installed at 20" in str(found[0])
    assert str(found[3]).startswith(f"g00000/{site.names[0]}, leased last at 2033-05-18 03:33 UTC; frees 1.")


def test_nothing_goes_within_the_budget(site: _Site) -> None:
    assert site.evict(0).evicted == ()
    assert len(site.left()) == 4


def test_the_environment_whose_lease_is_oldest_goes_and_the_rest_is_whole(site: _Site) -> None:
    first, second, third, fourth = site.names
    site.use(third, first, fourth, second)
    room = site.evict(_OWN_BYTES // 2)
    assert [item.name for item in room.evicted] == [third]
    assert site.left() == sorted([first, second, fourth])
    states = {item.name: item.ready for item in read_targets(site.prefix, "g00000")}
    assert states == {first: True, second: True, third: False, fourth: True}
    generation = site.fake.generation(0)
    assert not is_sealed(site.prefix, generation)
    assert is_sealed(site.prefix, generation, {first, second, fourth})
    assert not site.prefix.staging.exists()
    assert [str(finding) for finding in verify(site.prefix, ["g00000"], 1, stores=True).findings] == []


def test_what_an_eviction_frees_is_what_the_plan_says_to_within_one_per_cent(site: _Site) -> None:
    site.use(*site.names)
    budget = DiskBudget(most=Amount("some", disk_bytes(site.prefix.root)))
    planned = plan_room(site.prefix, budget, site.rules(), 2 * _OWN_BYTES + _OWN_BYTES // 2)
    before = disk_bytes(site.prefix.root)
    room = site.evict(0, 2 * _OWN_BYTES + _OWN_BYTES // 2)
    freed = before - disk_bytes(site.prefix.root)
    assert [item.name for item in room.evicted] == site.names[:3]
    assert [item.label for item in planned.plan.environments] == [item.label for item in room.evicted]
    assert freed > 2 * _OWN_BYTES
    assert abs(planned.plan.freed_bytes - freed) <= freed / 100
    assert abs(room.freed_bytes - freed) <= freed / 100
    assert abs(sum(item.freed_bytes for item in room.evicted) - freed) <= freed / 100


def test_an_environment_frees_only_what_it_alone_holds(site: _Site) -> None:
    held = site.fake.wheel("held", files={"held/data": os.urandom(_OWN_BYTES)})
    own = site.fake.wheel("own", "9.0", files={"own/data": os.urandom(50_000)})
    cells = (environment_cell([held, own], torch="2.9.0"), environment_cell([held], torch="2.8.0"))
    site.fake.install(1, *cells)
    labels = [f"g00001/{cell.target.name}" for cell in cells]
    write_lease_record(site.prefix, {labels[0]: _FAR, labels[1]: _FAR + 1})
    site.eager = ["*-torch2.[1-4].*"]
    budget = DiskBudget(Amount("x", disk_bytes(site.prefix.root) - 500_000))
    plan = plan_room(site.prefix, budget, site.rules(), 0).plan
    found = {item.label: item.freed_bytes for item in plan.environments}
    assert list(found) == labels
    assert 50_000 < found[labels[0]] < 200_000
    assert found[labels[1]] > _OWN_BYTES


def test_what_a_model_leases_stays_and_the_next_oldest_goes(site: _Site) -> None:
    site.use(*site.names)
    with site.lease(site.names[0]):
        room = site.evict(_OWN_BYTES // 2)
    assert [item.name for item in room.evicted] == [site.names[1]]
    assert "a model has leased it" in room.plan.kept[f"g00000/{site.names[0]}"]


def test_a_lease_on_the_generation_keeps_all_of_its_environments(site: _Site) -> None:
    before = disk_bytes(site.prefix.root)
    with site.lease(), pytest.raises(BudgetError, match="with its whole generation") as raised:
        site.evict(_OWN_BYTES // 2)
    assert f"{before:,} of {before - _OWN_BYTES // 2:,} (--disk-budget some) are in use" in str(raised.value)
    assert len(site.left()) == 4


def test_nothing_goes_if_all_that_may_go_is_not_enough(site: _Site) -> None:
    site.use(*site.names)
    site.eager = ["*-torch2.[12].*"]
    with site.lease(site.names[2]), pytest.raises(BudgetError, match="would free 1,") as raised:
        site.evict(2 * _OWN_BYTES)
    assert "--eager names it" in str(raised.value)
    assert f"g00000/{site.names[2]}: a model has leased it: process {os.getpid()}" in str(raised.value)
    assert len(site.left()) == 4
    assert site.prefix.sealed_mark("g00000").exists()


@pytest.mark.parametrize(
    ("use", "need_bytes", "leased", "said"),
    [
        (BudgetUse(1_000, 900, 5_000), 300, True,
         ("900 of 1,000 (--keep-free x) are in use, and evicting all that may go would free 50; raise the "
         "budget, or end models; what stays: a: b")),
        (BudgetUse(1_000, 900, 5_000), 300, False, "would free 50; raise the budget; what stays: a: b"),
        (BudgetUse(1_000, 900, 150), 300, False,
         ("900 of 1,000 (--keep-free x) are in use, 150 are free on the disk, and evicting all that may go "
         "would free 50; raise the budget and make room on the disk; what stays: a: b")),
        (BudgetUse(1_000, 900, 100), 300, True,
         ("needed, 100 are free on the disk, and evicting all that may go would free 50; make room on the "
         "disk, or end models; what stays: a: b")),
        (BudgetUse(1_000, 900, 5_000), 1_001, True,
         "would free 50; the budget is too small for it even when the prefix is empty: raise the budget"),
        (BudgetUse(1_000, 900, 100), 1_001, True,
         "the disk has too little room for it even when the prefix is empty: make room on the disk"),
    ],
)  # fmt: skip
def test_a_shortage_says_what_is_short_and_only_what_helps(
    tmp_path: Path, use: BudgetUse, need_bytes: int, leased: bool, said: str
) -> None:
    plan = EvictionPlan(use.over_bytes(need_bytes), kept={"a": "b"}, waits_for_models=leased, freed_bytes=50)
    message = shortage(Prefix(tmp_path), DiskBudget(keep_free=Amount("x", 1)), Room(use, need_bytes, plan))
    assert message.endswith(said)


@pytest.mark.parametrize("eager", [False, True])
def test_models_are_waited_for_where_what_they_lease_may_go(site: _Site, eager: bool) -> None:
    site.eager = ["*"] if eager else ()
    budget = DiskBudget(Amount("some", disk_bytes(site.prefix.root) - 1))
    with site.lease(site.names[0]):
        assert plan_room(site.prefix, budget, site.rules(), 0).plan.waits_for_models == (not eager)
    assert not plan_room(site.prefix, budget, site.rules(), 0).plan.waits_for_models


def test_what_is_eager_stays(site: _Site) -> None:
    site.use(*site.names)
    site.eager = ["*-torch2.1.0-*"]
    assert [item.name for item in site.evict(1).evicted] == [site.names[1]]


def test_what_nothing_uses_goes_before_any_environment(site: _Site) -> None:
    site.fake.wheel("unused", files={"unused/data": os.urandom(_OWN_BYTES)})
    room = site.evict(_OWN_BYTES // 2)
    assert room.evicted == ()
    assert room.plan.reclaimed_bytes > _OWN_BYTES
    assert len(site.left()) == 4


def test_what_nothing_uses_even_now_has_gone_before_an_environment_loses_its_name(
    site: _Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.use(*site.names)
    wheel = site.fake.wheel("unused", files={"unused/data": os.urandom(_OWN_BYTES)})
    retire, seen = retire_environment, []

    def look(writer: WriterLock, generation: str, name: str) -> RetiredEnvironment | None:
        seen.append((site.fake.archive(wheel).exists(), site.fake.archive(site.own[0]).exists()))
        return retire(writer, generation, name)

    monkeypatch.setattr(eviction, "retire_environment", look)
    assert len(site.evict(_OWN_BYTES + _OWN_BYTES // 2).evicted) == 1
    assert seen == [(False, True)]
    assert not site.fake.archive(site.own[0]).exists()


def test_wheels_that_are_about_to_be_installed_stay_in_the_cache(site: _Site) -> None:
    wheel = site.fake.wheel("soon", files={"soon/data": os.urandom(_OWN_BYTES)})
    generation = site.fake.define(1, environment_cell([wheel]))
    target = generation.environments[0]
    wanted = Wanted(generation, target, site.fake.catalog.lock(generation, target))
    catalog = site.fake.catalog
    rules = eviction_rules(site.prefix, catalog, catalog.between(None, None), [wanted], ON_DEMAND)
    site.use(*site.names)
    budget = DiskBudget(Amount("x", disk_bytes(site.prefix.root) - 1))
    make_room(site.prefix, budget, rules, 0, Reporter(site.log, "json"))
    assert site.fake.archive(wheel).is_dir()


def test_the_wheels_of_an_installed_toolkit_stay_in_the_cache(site: _Site) -> None:
    cell = site.fake.cudnn_cell()
    wheel = next(wheel for wheel in cell.wheels if wheel.spec.name == "nvidia-cudnn-cu12")
    rules = site.rules()
    assert wheel.sha256 not in rules.wheels
    site.fake.install(1, cell)
    assert wheel.sha256 in site.rules().wheels
    site.evict(_OWN_BYTES // 2)
    assert site.fake.archive(wheel).is_dir()


def test_what_a_killed_writer_left_goes_before_an_eviction(site: _Site) -> None:
    site.use(*site.names)
    left = site.prefix.staging / "g00009" / "data"
    left.parent.mkdir(parents=True)
    left.write_bytes(os.urandom(_OWN_BYTES))
    assert site.evict(_OWN_BYTES // 2).evicted == ()
    assert not site.prefix.staging.exists()
    assert len(site.left()) == 4


def test_a_model_that_leases_an_environment_after_the_plan_keeps_it(
    site: _Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.use(*site.names)
    retire, leased = retire_environment, site.lease(site.names[1])
    with ExitStack() as model:

        def lease_first(writer: WriterLock, generation: str, name: str) -> RetiredEnvironment | None:
            if name == site.names[0]:
                model.enter_context(leased)
            return retire(writer, generation, name)

        monkeypatch.setattr(eviction, "retire_environment", lease_first)
        room = site.evict(_OWN_BYTES + _OWN_BYTES // 2)
    assert [item.name for item in room.evicted] == [site.names[0], site.names[2]]
    assert site.left() == sorted([site.names[1], site.names[3]])
    assert site.fake.archive(site.own[1]).exists()  # what only the leased one uses has stayed with it
    assert verify(site.prefix, ["g00000"], 1, stores=True).findings == []


def test_an_environment_of_an_inactive_generation_or_outside_the_selection_stays(site: _Site) -> None:
    site.fake.install(1, environment_cell([site.fake.wheel("shared")]))
    catalog = site.fake.catalog
    budget = DiskBudget(Amount("x", disk_bytes(site.prefix.root) - 100))
    selection = Selection(("*-torch2.4.0-*",), eager=())
    rules = eviction_rules(site.prefix, catalog, [catalog.generation(0)], (), selection)
    plan = plan_room(site.prefix, budget, rules, 0).plan
    assert [item.name for item in plan.environments] == [site.names[3]]
    assert "its generation is not active" in plan.kept[f"g00001/python{PYTHON}"]
    assert "it is not selected" in plan.kept[f"g00000/{site.names[0]}"]


def test_what_a_newer_release_wrote_is_not_evicted(site: _Site) -> None:
    site.fake.make_newer(0)
    with pytest.raises(BudgetError, match="newer monobase"):
        site.evict(1)
    site.fake.make_tree_newer(site.fake.tree(0, site.names[0]))
    with pytest.raises(NewerFormatError):
        site.evict(1)


def test_without_a_manifest_nothing_is_evicted(site: _Site) -> None:
    (site.fake.tree(0, site.names[2]) / ".manifest").write_bytes(b"\0")
    with pytest.raises(DamageError):
        site.evict(1)
    assert len(site.left()) == 4


@pytest.mark.parametrize(("age_s", "stays"), [(0, True), (119, True), (120, False), (-3600, False)])
def test_a_new_environment_stays_for_the_model_that_asked_for_it_whatever_becomes_of_the_clock(
    age_s: int, stays: bool
) -> None:
    new = InstalledEnvironment("g00000", "python3.11", 1_000_000, leased=False, generation_leased=False)
    reason = EvictionRules(["g00000"], grace_s=120).reason_to_stay(new, 0, 1_000_000 + age_s)
    assert bool(reason) == stays


def test_the_stores_are_walked_once_however_many_environments_go(
    site: _Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    walks: list[Used] = []

    def note(prefix: Prefix, used: Used) -> Iterator[Unused]:
        walks.append(used)
        return unused_records(prefix, used)

    monkeypatch.setattr(eviction_plan, "unused_records", note)
    budget = DiskBudget(most=Amount("some", disk_bytes(site.prefix.root) - 3 * _OWN_BYTES))
    room = plan_room(site.prefix, budget, site.rules(), 0)
    assert len(room.plan.environments) == 3
    assert len(walks) == 1
