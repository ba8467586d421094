"""The wait before a first fetch: a moment of each node, once, and for nobody who waits for a model."""

import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from daemon.install.options import InstallOptions
from daemon.install.plan import Plan
from daemon.service import first_fetch
from daemon.service.first_fetch import FirstFetch, share_of
from daemon.service.loop import Loop
from gens.errors import MonobaseError
from gens.selection import Selection
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.fake_service.fake_service import FakeService

JITTER_S = 600.0


@dataclass
class Clock:
    """A time of day that a test sets."""

    now_s: float = 1_790_000_000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    fake.define(0)
    fake.define(1)
    return fake


@pytest.fixture(autouse=True)
def plans(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Replace plans; the last entry of the list says whether they have something to download."""
    downloads = [True]

    def plan(*_: object, **__: object) -> Plan:
        return Plan((), ("a wheel",) if downloads[-1] else (), 0, 0)  # type: ignore[arg-type]

    monkeypatch.setattr(first_fetch, "make_plan", plan)
    return downloads


def _first_fetch(service: FakeService, clock: Clock) -> FirstFetch:
    return FirstFetch(service.context, clock)


def _service(fake: FakePrefix, node: str = "node-1", **options: object) -> FakeService:
    return FakeService(fake, **{"first_fetch_jitter_s": JITTER_S, "node_name": node, **options})  # type: ignore[arg-type]


def _may(waits: FirstFetch, fake: FakePrefix, number: int = 1) -> bool:
    generation = next(each for each in waits.context.active() if each.id == number)
    return waits.may(generation, [fake.environment, fake.toolkit])


def test_a_node_fetches_at_its_own_moment_and_not_before(fake: FakePrefix) -> None:
    service, clock = _service(fake), Clock()
    waits, delay_s = _first_fetch(service, clock), share_of("node-1") * JITTER_S
    assert not _may(waits, fake)
    assert waits.left_s() == pytest.approx(delay_s)
    at = time.strftime("%H:%M:%S", time.gmtime(clock.now_s + delay_s))
    assert service.context.state.turn == f"waiting until {at} UTC, this node's turn to fetch g00001"
    clock.now_s += delay_s - 1
    assert not _may(waits, fake)
    clock.now_s += 2
    assert _may(waits, fake)
    assert (waits.left_s(), service.context.state.turn) == (None, "")
    assert service.log == [f"info: g00001: begins to fetch in {delay_s:.0f} s (--first-fetch-jitter 600)"]


def test_a_daemon_that_is_restarted_does_not_wait_again(fake: FakePrefix) -> None:
    clock = Clock()
    assert not _may(_first_fetch(_service(fake), clock), fake)
    clock.now_s += share_of("node-1") * JITTER_S / 2
    restarted = _first_fetch(_service(fake, "another name of the same node"), clock)
    assert not _may(restarted, fake)
    clock.now_s += share_of("node-1") * JITTER_S / 2 + 1
    assert _may(_first_fetch(_service(fake), clock), fake)


def test_another_generation_or_selection_is_another_first_fetch(fake: FakePrefix) -> None:
    clock = Clock()
    waits = _first_fetch(_service(fake), clock)
    assert not _may(waits, fake)
    clock.now_s += JITTER_S
    assert _may(waits, fake)
    assert not _may(waits, fake, number=0)
    part = InstallOptions(selection=Selection((fake.environment,)))
    assert not _may(_first_fetch(_service(fake, install=part), clock), fake)


def test_without_the_option_or_a_download_nothing_waits(fake: FakePrefix, plans: list[bool]) -> None:
    assert _may(_first_fetch(_service(fake, first_fetch_jitter_s=0.0), Clock()), fake)
    plans.append(False)
    service = _service(fake)
    waits = _first_fetch(service, Clock())
    assert _may(waits, fake)
    assert waits.may(service.context.active()[0], [])
    assert (service.log, list(fake.prefix.generations.glob(".turns.json"))) == ([], [])


def test_a_plan_that_fails_is_left_to_the_install(fake: FakePrefix, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> Plan:
        raise MonobaseError("a lock is malformed")

    monkeypatch.setattr(first_fetch, "make_plan", fail)
    assert _may(_first_fetch(_service(fake), Clock()), fake)


def test_a_clock_that_is_set_back_makes_no_node_wait_longer_than_the_option_says(fake: FakePrefix) -> None:
    clock = Clock()
    waits = _first_fetch(_service(fake), clock)
    assert not _may(waits, fake)
    clock.now_s -= 86400 * 365
    assert not _may(waits, fake)
    left_s = waits.left_s()
    assert left_s is not None
    assert left_s <= JITTER_S


def test_a_prefix_that_cannot_be_written_stops_nobody(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(first_fetch, "write_turns", fail)
    clock = Clock()
    waits = _first_fetch(_service(fake), clock)
    _may(waits, fake)
    assert waits.left_s() == pytest.approx(share_of("node-1") * JITTER_S)


def test_the_nodes_of_a_fleet_are_spread_evenly() -> None:
    shares = sorted(share_of(f"gpu-pool-{number}.example") for number in range(10_000))
    assert 0 <= shares[0] <= shares[-1] < 1
    for tenth in range(10):
        among = sum(tenth / 10 <= share < (tenth + 1) / 10 for share in shares)
        assert 900 < among < 1100
    assert share_of("node-1") == share_of("node-1") != share_of("node-2")


def test_the_loop_wakes_at_the_nodes_turn(fake: FakePrefix, monkeypatch: pytest.MonkeyPatch) -> None:
    service = _service(fake, check_interval_s=3600.0)
    pauses: list[float] = []

    def wait(_: object, seconds: float, *__: object) -> None:
        pauses.append(seconds)
        service.context.stop.set()

    monkeypatch.setattr("daemon.service.demand.Demand.wait", wait)
    loop = threading.Thread(target=Loop(service.context).run)
    loop.start()
    loop.join(timeout=120)
    assert not loop.is_alive()
    delay_s = share_of("node-1") * JITTER_S
    assert 0 <= pauses[0] <= delay_s + 1 < 3600
    assert service.context.state.activity.endswith("this node's turn to fetch g00000, g00001")
