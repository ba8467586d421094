"""The budget of a service: room before an install, waiting for a lease, and what is left alone."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from daemon.errors import BudgetError
from daemon.install.options import InstallOptions
from daemon.prefix.disk_budget import Amount, BudgetUse, DiskBudget
from daemon.prefix.generation import published_names
from daemon.prefix.lease_record import write_lease_record
from daemon.prefix.usage import read_usage
from daemon.prefix.writer_lock import writer_lock
from daemon.service import budget as budget_module
from daemon.service.budget import Budget
from daemon.service.demand import Demand
from daemon.service.lease_watch import LeaseWatch
from daemon.upkeep import eviction
from daemon.upkeep.eviction import Room
from daemon.upkeep.eviction_plan import EvictionPlan
from gens.selection import Selection
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.fake_service.fake_service import FakeService
from tests.synthetic.catalog import PYTHON, environment_cell

_OWN_BYTES = 1_000_000
_FAR_S = 4_000_000_000
_NAMES = [f"python{PYTHON}-torch2.{minor}.0-cpu" for minor in range(4)]
_SUBJECT = "install g00000/"


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePrefix:
    """Provide a prefix with two of four environments; the first one's lease is the oldest."""
    monkeypatch.setattr(eviction, "time", SimpleNamespace(time=lambda: _FAR_S))
    fake = FakePrefix(tmp_path)
    cells = []
    for minor in range(4):
        own = fake.wheel("own", f"{minor}.0", files={"own/data": os.urandom(_OWN_BYTES)}, cached=minor < 2)
        cells.append(environment_cell([own], torch=f"2.{minor}.0"))
    fake.define(0, *cells)
    fake.publish(0, *_NAMES[:2])
    with writer_lock(fake.prefix, 0, lambda _: None):
        pass  # makes the lock files, which count as well
    write_lease_record(fake.prefix, {f"g00000/{name}": _FAR_S - 9 + i for i, name in enumerate(_NAMES)})
    return fake


def _eager(eager: tuple[str, ...] | None) -> InstallOptions:
    return InstallOptions(selection=Selection(eager=eager))


def _service(fake: FakePrefix, limit: int, eager: tuple[str, ...] | None = ()) -> FakeService:
    service = FakeService(fake, _eager(eager), budget=DiskBudget(Amount("some", limit)))
    service.context.state.usage = read_usage(fake.prefix)
    service.context.is_counted = True
    return service


def _budget(service: FakeService) -> Budget:
    return Budget(service.context, LeaseWatch(service.context))


def _installed(fake: FakePrefix) -> set[str]:
    return published_names(fake.prefix, "g00000")


def _used(fake: FakePrefix) -> int:
    return read_usage(fake.prefix).total_bytes


def _portions(service: FakeService, *names: str) -> list[list[str]]:
    return list(_budget(service).portions(service.context.active()[0], list(names)))


def test_what_fits_is_installed_at_once_and_nothing_goes(fake: FakePrefix) -> None:
    service = _service(fake, 10**9)
    assert _portions(service, *_NAMES[2:]) == [_NAMES[2:]]
    assert _installed(fake) == set(_NAMES[:2])


def test_the_oldest_lease_gives_way_to_what_is_asked_for(fake: FakePrefix) -> None:
    service = _service(fake, _used(fake) + _OWN_BYTES)
    assert _portions(service, _NAMES[2]) == [[_NAMES[2]]]
    assert _installed(fake) == {_NAMES[1]}
    assert not service.context.is_counted
    assert b"monobase_evictions_total 1.0" in service.context.metrics.exposition()
    assert any(f"evicted g00000/{_NAMES[0]}" in line for line in service.log)


def test_room_is_made_for_full_copies_where_files_are_copied(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed: list[int] = []

    def make_room(
        _prefix: object, _budget: object, _rules: object, need: int, *_: object, **__: object
    ) -> Room:
        needed.append(need)
        return Room(BudgetUse(1, 0, 1), need, EvictionPlan(0))

    monkeypatch.setattr(budget_module, "make_room", make_room)
    for copy in (False, True):
        budget = DiskBudget(Amount("some", 10**9))
        service = FakeService(fake, replace(_eager(()), copy=copy), budget=budget)
        assert _portions(service, _NAMES[2]) == [[_NAMES[2]]]
    assert needed[1] - needed[0] > _OWN_BYTES


def test_what_does_not_fit_together_comes_one_by_one_as_far_as_it_fits(fake: FakePrefix) -> None:
    service = _service(fake, _used(fake) + _OWN_BYTES)
    budget = _budget(service)
    portions = budget.portions(service.context.active()[0], _NAMES[2:])
    assert next(portions) == [_NAMES[2]]
    fake.install(1, environment_cell([fake.wheel("other", files={"other/data": os.urandom(_OWN_BYTES)})]))
    with fake.lease(0), fake.lease(1):
        assert list(portions) == []
    assert service.failed == [_SUBJECT + _NAMES[3]]


def test_an_install_that_waits_is_tried_again_when_a_lease_has_ended(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [100.0]
    monkeypatch.setattr(budget_module, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    service = _service(fake, _used(fake))
    budget = _budget(service)
    assert not budget.has_room()
    with fake.lease(0):
        budget.look()
        assert list(budget.portions(service.context.active()[0], [_NAMES[2]])) == []
        assert service.failed == [_SUBJECT + _NAMES[2]]
        assert not budget.has_room()
    clock[0] += 0.5
    assert not budget.has_room()  # it looked a moment ago
    clock[0] += 1
    assert budget.has_room()
    assert service.failed == []
    assert not budget.has_room()


def test_an_eviction_that_fails_delays_only_what_it_was_for(fake: FakePrefix) -> None:
    (fake.tree(0, _NAMES[1]) / ".manifest").write_bytes(b"\0")
    service = _service(fake, _used(fake))
    assert _portions(service, _NAMES[2]) == []
    assert service.failed == [_SUBJECT + _NAMES[2]]
    assert _installed(fake) == set(_NAMES[:2])


def test_a_prefix_above_its_budget_is_evicted_down_to_it(fake: FakePrefix) -> None:
    service = _service(fake, _used(fake) - 1)
    _budget(service).keep()
    assert _installed(fake) == {_NAMES[1]}
    assert service.context.state.budget is not None
    assert not service.context.is_counted


def test_models_may_ask_at_once_for_what_was_evicted(fake: FakePrefix) -> None:
    service = _service(fake, _used(fake) - 1)
    demand = Demand(service.context)
    demand.offer()
    offered = fake.prefix.generations / ".demand" / "g00000"
    assert {path.name for path in offered.iterdir()} == set(_NAMES[2:])
    Budget(service.context, LeaseWatch(service.context), demand.offer).keep()
    assert {path.name for path in offered.iterdir()} == {_NAMES[0], *_NAMES[2:]}


def test_a_budget_that_cannot_be_kept_is_an_error(fake: FakePrefix) -> None:
    service = _service(fake, _used(fake) - 1, eager=("*",))
    with pytest.raises(BudgetError, match="--eager names it"):
        _budget(service).keep()


@pytest.mark.parametrize("keep", [Budget.keep, lambda budget: budget.look()])
def test_without_on_demand_nothing_is_evicted(fake: FakePrefix, keep: Callable[[Budget], None]) -> None:
    service = _service(fake, _used(fake) - 1, eager=None)
    keep(_budget(service))
    assert _portions(service, _NAMES[2]) == [[_NAMES[2]]]
    assert _installed(fake) == set(_NAMES[:2])
    assert not (fake.prefix.generations / ".environment-leases").exists()


def test_models_may_lease_environments_alone_while_these_may_be_evicted(fake: FakePrefix) -> None:
    offered = fake.prefix.generations / ".environment-leases"
    _budget(_service(fake, 10**9)).look()
    assert offered.exists()
    _budget(FakeService(fake, _eager(()))).look()
    assert not offered.exists()


def test_what_is_not_counted_is_not_compared(fake: FakePrefix) -> None:
    service = _service(fake, _used(fake) - 1)
    service.context.is_counted = False
    _budget(service).keep()
    assert _installed(fake) == set(_NAMES[:2])


def test_a_new_environment_stays_until_its_model_has_had_time_to_lease_it(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_lease_record(fake.prefix, {})
    now_s = int(fake.tree(0, _NAMES[0]).lstat().st_ctime)
    monkeypatch.setattr(eviction, "time", SimpleNamespace(time=lambda: now_s + 60))
    service = _service(fake, _used(fake) - 1)
    with pytest.raises(BudgetError, match="s ago, and no model has leased it yet"):
        _budget(service).keep()
    monkeypatch.setattr(eviction, "time", SimpleNamespace(time=lambda: now_s + 300))
    _budget(service).keep()
    assert len(_installed(fake)) == 1
