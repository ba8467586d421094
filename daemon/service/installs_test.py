"""Installs of the service: newest first, and each failure with a delay of its own."""

import fcntl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from daemon.errors import DiskError, IndexAccessError, PrefixInUseError
from daemon.install.options import InstallOptions
from daemon.install.result import InstallResult
from daemon.service import installs as installs_module
from daemon.service.budget import Budget
from daemon.service.demand import Demand
from daemon.service.first_fetch import FirstFetch
from daemon.service.installs import Installs
from daemon.service.lease_watch import LeaseWatch
from gens.errors import MonobaseError
from gens.selection import Selection
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.fake_service.fake_service import FakeService


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    fake.define(0)
    fake.define(1)
    return fake


def _installer(
    monkeypatch: pytest.MonkeyPatch, install: Callable[[int], InstallResult]
) -> list[InstallOptions]:
    """Replace installs by a function; return the list of their options."""
    received: list[InstallOptions] = []

    def run(*arguments: object) -> InstallResult:
        options = arguments[3]
        assert isinstance(options, InstallOptions)
        assert options.generation_id is not None
        received.append(options)
        return install(options.generation_id)

    monkeypatch.setattr(installs_module, "install", run)
    return received


def _installs(service: FakeService) -> Installs:
    context = service.context
    return Installs(context, Demand(context), Budget(context, LeaseWatch(context)))


def test_the_newest_generation_is_installed_first(fake: FakePrefix, monkeypatch: pytest.MonkeyPatch) -> None:
    service = FakeService(fake)
    states: list[frozenset[str]] = []

    def install(number: int) -> InstallResult:
        states.append(service.context.state.installing)
        fake.install(number)
        return InstallResult(fetched_bytes=10)

    received = _installer(monkeypatch, install)
    installs = _installs(service)
    assert installs.install_missing()
    assert [options.generation_id for options in received] == [1, 0]
    assert set(received[0].due) == {fake.environment, fake.toolkit}
    assert states == [frozenset({"g00001"}), frozenset({"g00000"})]
    assert service.context.state.installing == frozenset()
    fake.point_latest(1)
    assert not installs.install_missing()
    assert service.failed == []
    assert b"monobase_fetched_bytes_total 20.0" in service.context.metrics.exposition()


def test_an_environment_that_fails_waits_alone(fake: FakePrefix, monkeypatch: pytest.MonkeyPatch) -> None:
    service = FakeService(fake, InstallOptions(min_gen_id=1))
    label = f"g00001/{fake.toolkit}"
    received = _installer(monkeypatch, lambda _: InstallResult(failures={label: IndexAccessError("lost")}))
    installs = _installs(service)
    assert installs.install_missing()
    assert service.failed == [f"install {label}"]
    assert installs.install_missing()  # the other one is due still
    assert received[1].due == (fake.environment,)


@pytest.mark.parametrize("error", [IndexAccessError("lost"), ValueError("what")])
def test_a_generation_that_fails_leaves_the_others_installed(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    service = FakeService(fake)

    def install(number: int) -> InstallResult:
        if number == 1:
            raise error
        fake.install(number)
        return InstallResult()

    received = _installer(monkeypatch, install)
    installs = _installs(service)
    assert installs.install_missing()
    assert [options.generation_id for options in received] == [1, 0]
    assert service.failed == ["install g00001"]
    assert not installs.install_missing()  # its delay has not expired


def test_after_a_full_disk_no_older_generation_takes_the_room(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = FakeService(fake)

    def install(_: int) -> InstallResult:
        raise DiskError("full")

    received = _installer(monkeypatch, install)
    _installs(service).install_missing()
    assert [options.generation_id for options in received] == [1]
    assert service.failed == ["install"]
    assert service.log[0].startswith("error: full; trying again in ")


@pytest.mark.parametrize(
    ("error", "is_told"), [(DiskError("full"), True), (PrefixInUseError("another"), False)]
)
def test_a_full_disk_names_what_pruning_would_remove(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch, error: MonobaseError, is_told: bool
) -> None:
    fake.install(0)
    service = FakeService(fake, InstallOptions(min_gen_id=1), prune_old_gen=True)

    def install(_: int) -> InstallResult:
        raise error

    _installer(monkeypatch, install)
    _installs(service).install_missing()
    told = "; g00000: pruned only when the active generations are ready" in service.log[0]
    assert told == is_told


def test_what_was_not_asked_for_is_not_installed(fake: FakePrefix, monkeypatch: pytest.MonkeyPatch) -> None:
    service = FakeService(fake, InstallOptions(selection=Selection((fake.toolkit,))))
    received = _installer(monkeypatch, lambda _: InstallResult())
    _installs(service).install_missing()
    assert {options.due for options in received} == {(fake.toolkit,)}


def test_a_latest_that_cannot_be_moved_is_a_failure_of_its_generation(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.install(1)
    fake.install(0)
    fake.prefix.latest.unlink()
    service = FakeService(fake)
    received = _installer(monkeypatch, lambda _: InstallResult(failures={"latest": IndexAccessError("no")}))
    _installs(service).install_missing()
    assert [options.generation_id for options in received] == [1]
    assert service.failed == ["install g00001"]


def test_no_install_begins_once_the_service_is_to_stop(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = FakeService(fake)
    service.context.stop.set()
    assert _installer(monkeypatch, lambda _: pytest.fail("it was to stop")) == []
    assert not _installs(service).install_missing()


# --- demand ---------------------------------------------------------------------------------------


@contextmanager
def _asking(service: FakeService, number: int, name: str) -> Iterator[None]:
    """Offer everything, and ask for one target as a model does."""
    Demand(service.context).offer()
    path = service.fake.prefix.generations / ".demand" / f"g{number:05}" / name
    with path.open() as file:
        fcntl.flock(file, fcntl.LOCK_SH)
        yield


def test_what_a_model_waits_for_comes_first_and_alone(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = FakeService(fake)

    def install(number: int) -> InstallResult:
        fake.publish(number, *received[-1].due)
        return InstallResult()

    received = _installer(monkeypatch, install)
    with _asking(service, 0, fake.environment):
        _installs(service).install_missing()
    assert [(options.generation_id, options.due) for options in received[:2]] == [
        (0, (fake.environment,)),
        (1, (fake.environment, fake.toolkit)),
    ]
    assert service.log[0] == f"info: g00000/{fake.environment}: a model waits for it"


def test_what_a_model_waits_for_does_not_wait_for_the_nodes_turn(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = FakeService(fake, first_fetch_jitter_s=3600.0, node_name="node-1")

    def install(number: int) -> InstallResult:
        fake.publish(number, *received[-1].due)
        return InstallResult()

    received = _installer(monkeypatch, install)
    monkeypatch.setattr("daemon.service.first_fetch.FirstFetch._downloads", lambda *_: True)
    installs = _installs(service)
    assert not installs.install_missing()
    with _asking(service, 0, fake.environment):
        assert installs.install_missing()
    assert [(options.generation_id, options.due) for options in received] == [(0, (fake.environment,))]
    assert service.failed == []


def test_a_generation_that_models_have_completed_does_not_wait_for_its_turn_any_more(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = FakeService(fake, InstallOptions(min_gen_id=1), first_fetch_jitter_s=3600.0, node_name="node-1")
    _installer(monkeypatch, lambda _: InstallResult())
    monkeypatch.setattr("daemon.service.first_fetch.FirstFetch._downloads", lambda *_: True)
    context = service.context
    waits = FirstFetch(context)
    installs = Installs(context, Demand(context), Budget(context, LeaseWatch(context)), waits)
    assert not installs.install_missing()
    assert waits.left_s() is not None
    fake.install(1)
    fake.point_latest(1)
    context.state.set_damage({})
    assert not installs.install_missing()
    # Else the loop would wake at a turn that nobody waits for, again and again.
    assert (waits.left_s(), context.state.turn) == (None, "")


def test_on_demand_nothing_is_installed_that_nobody_asks_for(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    selection = Selection(eager=(fake.toolkit,))
    service = FakeService(fake, InstallOptions(selection=selection))

    def install(number: int) -> InstallResult:
        fake.publish(number, *received[-1].due)
        fake.seal(number, selection)
        fake.point_latest(1)
        return InstallResult()

    received = _installer(monkeypatch, install)
    installs = _installs(service)
    installs.install_missing()
    assert [(options.generation_id, options.due) for options in received] == [
        (1, (fake.toolkit,)),
        (0, (fake.toolkit,)),
    ]
    assert not installs.install_missing()
    with _asking(service, 0, fake.environment):
        assert installs.install_missing()
    assert (received[2].generation_id, received[2].due) == (0, (fake.environment,))


def test_an_install_that_gave_way_goes_on_after_what_a_model_waits_for(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = FakeService(fake, InstallOptions(min_gen_id=1))
    with ExitStack() as stack:

        def install(number: int) -> InstallResult:
            if len(received) == 1:  # somebody begins to ask meanwhile
                stack.enter_context(_asking(service, 1, fake.toolkit))
                return InstallResult(gave_way=True)
            fake.publish(number, *received[-1].due)
            return InstallResult()

        received = _installer(monkeypatch, install)
        _installs(service).install_missing()
    both = (fake.environment, fake.toolkit)
    assert [options.due for options in received] == [both, (fake.toolkit,), (fake.environment,)]
    assert service.failed == []


@pytest.mark.parametrize("error", [DiskError("full"), IndexAccessError("lost"), ValueError("what")])
def test_a_request_that_cannot_be_met_delays_only_itself(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    service = FakeService(fake, InstallOptions(min_gen_id=1, selection=Selection(eager=(fake.toolkit,))))
    service.context.state.set_damage({})  # a scan found nothing

    def install(_: int) -> InstallResult:
        if received[-1].due == (fake.environment,):
            raise error
        fake.publish(1, fake.toolkit)
        fake.seal(1, Selection(eager=(fake.toolkit,)))
        fake.point_latest(1)
        return InstallResult()

    received = _installer(monkeypatch, install)
    installs = _installs(service)
    with _asking(service, 1, fake.environment):
        installs.install_missing()
        assert [options.due for options in received] == [(fake.environment,), (fake.toolkit,)]
        assert service.failed == [f"install g00001/{fake.environment}"]
        assert service.context.readiness().generations[0].ready
        assert not installs.install_missing()
    installs.install_missing()
    assert service.failed == []  # nobody asks any more
