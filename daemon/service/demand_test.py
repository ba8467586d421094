"""Tests the demand of models, as the service sees it."""

import fcntl
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from daemon.install.options import InstallOptions
from daemon.service.demand import Demand
from daemon.service.state import INSTALL
from gens.selection import Selection
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.fake_service.fake_service import FakeService


class _Models:
    """Models that ask for environments."""

    def __init__(self, fake: FakePrefix, stack: ExitStack) -> None:
        self._fake = fake
        self._stack = stack

    def ask(self, number: int, name: str) -> ExitStack:
        """Hold a lock until the end, or until what is returned is closed."""
        one = self._stack.enter_context(ExitStack())
        path = self._fake.prefix.generations / ".demand" / f"g{number:05}" / name
        fcntl.flock(one.enter_context(path.open()), fcntl.LOCK_SH | fcntl.LOCK_NB)
        return one


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    fake.prefix.make_directories()
    fake.define(0)
    fake.define(1)
    return fake


@pytest.fixture
def models(fake: FakePrefix) -> Iterator[_Models]:
    with ExitStack() as stack:
        yield _Models(fake, stack)


def _first(demand: Demand) -> str | None:
    first = demand.first()
    return None if first is None else f"{first[0].directory_name}/{first[1]}"


def _offered(fake: FakePrefix) -> set[str]:
    top = fake.prefix.generations / ".demand"
    return {str(path.relative_to(top)) for path in top.glob("*/*")}


def test_what_is_selected_and_not_installed_can_be_asked_for(fake: FakePrefix) -> None:
    environment, toolkit = fake.environment, fake.toolkit
    demand = Demand(FakeService(fake).context)
    demand.offer()
    assert _offered(fake) == {f"g0000{number}/{name}" for number in (0, 1) for name in (environment, toolkit)}
    fake.publish(1, environment)
    demand.offer()
    assert f"g00001/{environment}" not in _offered(fake)
    Demand(FakeService(fake, InstallOptions(selection=Selection((toolkit,)), min_gen_id=1)).context).offer()
    assert _offered(fake) == {f"g00001/{toolkit}"}


def test_what_was_asked_for_first_comes_first(
    fake: FakePrefix, models: _Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    service = FakeService(fake)
    demand = Demand(service.context)
    demand.offer()
    assert _first(demand) is None
    late = models.ask(1, fake.toolkit)
    assert _first(demand) == f"g00001/{fake.toolkit}"
    now = 1.0
    models.ask(0, fake.environment)
    assert _first(demand) == f"g00001/{fake.toolkit}"
    assert service.context.state.requested == 2
    assert demand.labels() == {f"g00001/{fake.toolkit}", f"g00000/{fake.environment}"}
    now = 2.0
    late.close()
    assert _first(demand) == f"g00000/{fake.environment}"
    models.ask(1, fake.toolkit)
    assert _first(demand) == f"g00000/{fake.environment}"


@pytest.mark.parametrize("subject", ["g00000", "g00000/NAME"])
def test_what_failed_waits_for_its_delay_and_interrupts_no_scan(
    fake: FakePrefix, models: _Models, subject: str
) -> None:
    service = FakeService(fake)
    demand = Demand(service.context)
    demand.offer()
    models.ask(0, fake.environment)
    assert demand.interrupts()
    subject = f"{INSTALL} {subject.replace('NAME', fake.environment)}"
    service.context.retries.failed(subject, "lost")
    assert not demand.is_due()
    models.ask(1, fake.environment)
    assert _first(demand) == f"g00001/{fake.environment}"


def test_what_failed_before_interrupts_no_scan_when_its_delay_has_expired(
    fake: FakePrefix, models: _Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = FakeService(fake)
    demand = Demand(service.context)
    demand.offer()
    models.ask(0, fake.environment)
    now = 1000.0
    monkeypatch.setattr(service.context.retries, "clock", lambda: now)
    service.context.retries.failed(f"{INSTALL} g00000/{fake.environment}", "lost")
    now += 100_000
    assert demand.is_due()
    assert not demand.interrupts()


def test_a_full_disk_of_another_install_does_not_keep_what_is_asked_for(
    fake: FakePrefix, models: _Models
) -> None:
    service = FakeService(fake)
    demand = Demand(service.context)
    demand.offer()
    models.ask(0, fake.environment)
    service.context.retries.failed(INSTALL, "full")
    assert demand.is_due()


def test_what_is_there_or_not_selected_is_not_due(fake: FakePrefix, models: _Models) -> None:
    Demand(FakeService(fake).context).offer()
    for number in (0, 1):
        models.ask(number, fake.environment)
    fake.publish(0, fake.environment)
    options = InstallOptions(selection=Selection((fake.toolkit,)))
    assert _first(Demand(FakeService(fake, options).context)) is None
    assert _first(Demand(FakeService(fake, InstallOptions(max_gen_id=0)).context)) is None
    assert _first(Demand(FakeService(fake).context)) == f"g00001/{fake.environment}"


def test_a_wait_ends_when_somebody_asks_and_when_the_service_stops(fake: FakePrefix, models: _Models) -> None:
    service = FakeService(fake)
    demand = Demand(service.context)
    demand.offer()
    demand.wait(0.01)
    timer = threading.Timer(0.05, models.ask, (1, fake.environment))
    timer.start()
    demand.wait(3600)
    timer.join()
    assert demand.is_due()
    service.context.stop.set()
    service.context.retries.failed(f"{INSTALL} g00001", "lost")
    demand.wait(3600)
