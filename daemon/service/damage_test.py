"""Damage: found by scans, told before it is repaired, and repaired for each generation by itself."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from daemon.errors import IndexAccessError
from daemon.install.options import InstallOptions
from daemon.prefix.finding import Finding
from daemon.prefix.prefix import Prefix
from daemon.service import damage as damage_module
from daemon.service.damage import DamageWatch
from daemon.service.demand import Demand
from daemon.upkeep.known_file import read_known
from daemon.upkeep.repair import RepairResult
from daemon.upkeep.scan import ScanInterruptedError
from gens.catalog import Catalog
from tests.fake_prefix.fake_prefix import SITE_PACKAGES, FakePrefix
from tests.fake_service.fake_service import FakeService

_DATA = f"{SITE_PACKAGES}/alpha/data"
Repair = Callable[[list[str]], RepairResult]


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    for number in range(3):
        fake.install(number)
    return fake


def _remove(fake: FakePrefix, number: int) -> None:
    (fake.tree(number) / _DATA).unlink()


def _change_without_trace(fake: FakePrefix, number: int) -> None:
    path = fake.tree(number) / _DATA
    before = path.stat()
    with path.open("r+b") as file:
        file.write(b"~")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _known(fake: FakePrefix) -> list[str]:
    """Return the generations that probes are told to be damaged."""
    return [name for name, findings in read_known(fake.prefix).damage.items() if findings]


def _repairs(monkeypatch: pytest.MonkeyPatch, repair: Repair) -> list[str]:
    """Replace repairs by a function; return the list of the generations that were repaired."""
    tried: list[str] = []

    def run(
        _: Prefix, __: Catalog, ___: Path, names: list[str], options: InstallOptions, _____: object
    ) -> RepairResult:
        assert options.due == ()
        tried.extend(names)
        return repair(names)

    monkeypatch.setattr(damage_module, "repair", run)
    return tried


def _finding(number: int) -> Finding:
    return Finding(f"monobase/g{number:05d}/python3.11", "lib/x.py", "changed")


def _scans(monkeypatch: pytest.MonkeyPatch, scan: Callable[..., dict[str, list[Finding]]]) -> None:
    monkeypatch.setattr(damage_module, "scan", lambda _, names, **settings: scan(names, settings["full"]))


def _watch(service: FakeService, announce: Callable[[], None]) -> DamageWatch:
    return DamageWatch(service.context, announce, Demand(service.context))


def test_undamaged_generations_are_scanned_once_in_an_interval(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = FakeService(fake)
    watch = _watch(service, lambda: pytest.fail("there is nothing to tell"))
    watch.check()
    assert service.context.state.scanned
    _scans(monkeypatch, lambda *_: pytest.fail("it is too early"))
    watch.check()
    assert (service.log, service.failed) == ([], [])


def test_damage_is_told_to_everybody_before_it_is_repaired(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    _remove(fake, 1)
    service = FakeService(fake)
    order: list[str] = []

    def repair(names: list[str]) -> RepairResult:
        order.extend(names)
        return RepairResult()

    def announce() -> None:
        order.append("announce")
        assert _known(fake) == ["g00001"]

    _repairs(monkeypatch, repair)
    _watch(service, announce).check()
    assert order == ["announce", "g00001"]
    assert service.context.state.damage == {}
    assert _known(fake) == []
    assert service.log[0].startswith("error: 1 difference from what was sealed, such as ")
    assert service.log[-1] == "info: restored g00001"


def test_damage_that_stays_is_logged_once(fake: FakePrefix) -> None:
    _remove(fake, 1)
    service = FakeService(fake, repair=False)
    watch = _watch(service, lambda: None)
    watch.check()
    watch.check()
    assert list(service.context.state.damage) == ["g00001"]
    assert len(service.log) == 1


def test_a_mark_that_differs_is_looked_into_before_a_scan_is_due(fake: FakePrefix) -> None:
    service = FakeService(fake, repair=False)
    watch = _watch(service, lambda: None)
    watch.check()
    (fake.tree(2) / ".manifest").write_bytes(b"")
    watch.check()
    assert list(service.context.state.damage) == ["g00002"]


def test_what_only_reading_everything_finds_is_not_forgotten_by_a_quick_scan(fake: FakePrefix) -> None:
    _change_without_trace(fake, 0)
    service = FakeService(fake, repair=False, verify_interval_s=1e-9)
    watch = _watch(service, lambda: None)
    watch.check()
    damage = service.context.state.damage
    assert damage != {}
    service.context.options = replace(service.context.options, verify_interval_s=0, scan_interval_s=1e-9)
    watch.check()
    watch.check()
    assert service.context.state.damage == damage


@pytest.mark.parametrize("error", [OSError(5, "Input/output error", "g00001"), ValueError("what")])
def test_a_generation_whose_scan_fails_leaves_the_others_checked(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    service = FakeService(fake, repair=False)

    def scan(names: list[str], _: bool) -> dict[str, list[Finding]]:
        if "g00001" in names:
            raise error
        return {name: [_finding(0)] for name in names if name == "g00000"}

    _scans(monkeypatch, scan)
    _watch(service, lambda: None).check()
    assert list(service.context.state.damage) == ["g00000"]
    assert service.failed == ["scan g00001"]
    assert list(service.context.state.known().unchecked) == ["g00001"]


def test_an_interrupted_scan_changes_nothing(fake: FakePrefix) -> None:
    service = FakeService(fake)
    service.context.stop.set()
    with pytest.raises(ScanInterruptedError):
        _watch(service, lambda: None).check()
    assert not service.context.state.scanned


def test_a_repair_that_fails_leaves_the_others_repaired(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = FakeService(fake)
    _scans(monkeypatch, lambda names, _: {name: [_finding(int(name[1:]))] for name in names})

    def repair(names: list[str]) -> RepairResult:
        if names == ["g00001"]:
            raise IndexAccessError("lost")
        return RepairResult()

    tried = _repairs(monkeypatch, repair)
    _watch(service, lambda: None).check()
    assert sorted(tried) == ["g00000", "g00001", "g00002"]
    assert list(service.context.state.damage) == ["g00001"]
    assert service.failed == ["repair g00001"]


def test_what_a_repair_leaves_is_named_and_read_again(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = FakeService(fake, InstallOptions(min_gen_id=2), scan_interval_s=1e-9)
    looks: list[bool] = []

    def scan(names: list[str], full: bool) -> dict[str, list[Finding]]:
        looks.append(full)
        return {name: [_finding(2)] for name in names}

    _scans(monkeypatch, scan)
    _repairs(
        monkeypatch, lambda _: RepairResult(findings=[_finding(2)], failures={"x": IndexAccessError("lost")})
    )
    watch = _watch(service, lambda: None)
    watch.check()
    watch.check()
    assert looks == [False, True]
    assert service.failed == ["repair g00002"]
    assert any("could not be restored, such as" in line and ": lost; " in line for line in service.log)


def test_the_repair_of_what_two_generations_share_is_done_once(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = FakeService(fake, InstallOptions(min_gen_id=1))
    shared = Finding("cuda/cudnn-9.1.0.70-cuda12", "lib64/libcudnn.so.9", "changed")
    _scans(monkeypatch, lambda names, _: {name: [shared] for name in names})
    tried = _repairs(monkeypatch, lambda _: RepairResult())
    _watch(service, lambda: None).check()
    assert tried == ["g00002"]
    assert service.context.state.damage == {}


def test_what_is_strange_is_warned_of_once(fake: FakePrefix) -> None:
    (fake.prefix.generation("g00001") / "lost+found").mkdir()
    service = FakeService(fake, scan_interval_s=1e-9)
    watch = _watch(service, lambda: None)
    watch.check()
    watch.check()
    assert ["lost+found" in line for line in service.log] == [True]
    assert service.context.state.damage == {}


def test_a_scan_gives_way_to_a_model_that_waits_but_not_for_ever(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = FakeService(fake)
    watch = _watch(service, lambda: None)
    monkeypatch.setattr(Demand, "interrupts", lambda _: True)
    interrupted = 0
    while True:
        try:
            watch.check()
        except ScanInterruptedError:
            assert not service.context.state.scanned
            interrupted += 1
        else:
            break
    assert interrupted == 10
    assert service.context.state.scanned
