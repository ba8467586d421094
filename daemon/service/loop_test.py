"""The rounds of the service; tests/service runs them in a process."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from daemon.errors import DiskError
from daemon.install.result import InstallResult
from daemon.prefix.finding import Finding
from daemon.prefix.service_lock import service_lock
from daemon.report.progress import Reporter
from daemon.service import damage, installs, loop
from daemon.service.announcement import Announcement
from daemon.service.damage import DamageWatch
from daemon.service.installs import Installs
from daemon.service.loop import Loop
from daemon.service.pruning import Pruning
from daemon.upkeep.known_file import read_known, write_known
from daemon.upkeep.readiness import Known
from daemon.upkeep.scan import ScanInterruptedError
from gens.catalog import load_catalog
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.fake_service.fake_service import FakeService


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    fake.install(0)
    return fake


def _run(service: FakeService, rounds: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a service for some rounds."""
    counted = iter(range(rounds - 1))
    write = Announcement.write

    def stop_at_the_end(announcement: Announcement) -> None:
        write(announcement)
        if next(counted, None) is None:
            service.context.stop.set()

    monkeypatch.setattr(Announcement, "write", stop_at_the_end)
    Loop(service.context).run()


def test_an_undamaged_node_is_ready_after_the_first_round(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installs, "install", lambda *_: pytest.fail("nothing is missing"))
    service = FakeService(fake)
    _run(service, 2, monkeypatch)
    assert service.log == ["info: ready"]
    state = service.context.state
    assert (state.alive, state.usage is not None, state.checked_s > 0) == (False, True, True)


def test_what_an_install_brought_is_checked_in_the_same_round(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = FakeService(fake)
    fake.define(1)

    def install(*_: object) -> InstallResult:
        fake.install(1)
        return InstallResult()

    monkeypatch.setattr(installs, "install", install)
    _run(service, 1, monkeypatch)
    assert [generation.sealed for generation in service.context.readiness().generations] == [True, True]


@pytest.mark.parametrize("error", [RuntimeError("what"), OSError(28, "No space left"), MemoryError()])
@pytest.mark.parametrize(
    "part", ["DamageWatch.check", "Installs.install_missing", "Pruning.prune", "read_usage", "Definitions"]
)
def test_no_fault_of_a_part_ends_the_loop_or_keeps_the_others_from_their_turn(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch, part: str, error: Exception
) -> None:
    service = FakeService(fake)
    done: list[str] = []

    def note(name: str) -> Callable[..., bool]:
        def run(*_: object) -> bool:
            done.append(name)
            if name == part:
                raise error
            return False

        return run

    for name in ("check", "install_missing", "prune"):
        owner = {"check": DamageWatch, "install_missing": Installs, "prune": Pruning}[name]
        monkeypatch.setattr(owner, name, note(f"{owner.__name__}.{name}"))
    monkeypatch.setattr(loop, "read_usage", note("read_usage"))
    monkeypatch.setattr(service.context.definitions, "load", note("Definitions"))
    _run(service, 3, monkeypatch)
    assert service.failed != []
    assert not service.context.state.alive
    if part != "Installs.install_missing":  # without it, the round cannot go on to prune
        assert {"DamageWatch.check", "Installs.install_missing", "Pruning.prune", "read_usage"} <= set(done)


def test_a_definition_that_cannot_be_read_is_a_failure_of_its_own(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = FakeService(fake)
    fake.install(1)
    (fake.directory / "gens" / "g00001.json").write_text("{")
    service.context.definitions.load = lambda: load_catalog(fake.directory / "gens", keep_broken=True)
    _run(service, 2, monkeypatch)
    assert service.failed == ["definition g00001"]


def test_a_first_scan_that_sigterm_cuts_short_leaves_what_was_told_as_it_was(
    fake: FakePrefix, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    features = tmp_path / "features.d" / "monobase"
    features.parent.mkdir()
    features.write_text("feature.node.kubernetes.io/monobase-ready=true\n")
    known = Known({}, {"g00000": [Finding("monobase/g00000/python3.11", "lib/x.py", "changed")]})
    write_known(fake.prefix, known)
    service = FakeService(fake, features_directory=features.parent)

    def cut_short(*_: object, **__: object) -> None:
        service.context.stop.set()
        raise ScanInterruptedError

    monkeypatch.setattr(damage, "scan", cut_short)
    Loop(service.context).run()
    assert features.read_text() == "feature.node.kubernetes.io/monobase-ready=true\n"
    assert read_known(fake.prefix) == known
    assert service.context.state.damage == known.damage


def test_a_lock_that_somebody_removed_is_taken_again(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = FakeService(fake)
    lost = iter([False, True])
    monkeypatch.setattr("daemon.host.exclusive_lock.ExclusiveLock.is_lost", lambda _: next(lost, False))
    _run(service, 2, monkeypatch)
    assert "warning: another process removed the lock of the one daemon; acquiring it again" in service.log


def test_a_second_service_says_that_it_waits(fake: FakePrefix, monkeypatch: pytest.MonkeyPatch) -> None:
    service = FakeService(fake)
    with service_lock(fake.prefix, FakeService(fake).context.stop, lambda _: None):

        def stop(_: float) -> bool:
            service.context.stop.set()
            return True

        monkeypatch.setattr(service.context.stop, "wait", stop)
        Loop(service.context).run()
    assert service.context.state.activity.startswith("waiting for the daemon ")
    assert service.log == [f"info: {service.context.state.activity}"]


def test_a_log_that_cannot_be_written_stops_nothing(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise DiskError("full")

    with Path("/dev/full").open("w") as full:
        service = FakeService(fake)
        service.context.reporter = Reporter(full, "json")
        monkeypatch.setattr(loop, "read_usage", fail)
        _run(service, 3, monkeypatch)
        with suppress(OSError):
            full.close()
    assert service.failed == ["count"]
