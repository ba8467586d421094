"""The parts of the loop that need no process; tests/service runs the rest."""

from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from daemon.errors import DiskError, IndexAccessError, IndexUnreachableError, NotOnIndexError
from daemon.install.pipeline import InstallResult
from daemon.prefix.finding import Finding
from daemon.prefix.prefix import Prefix
from daemon.report.progress import Reporter
from daemon.service import loop as service_module
from daemon.service.loop import Service, ServiceOptions
from daemon.service.state import ServiceState, for_everybody, kind_of
from daemon.upkeep.known_file import read_known, write_known
from daemon.upkeep.readiness import Known
from daemon.upkeep.repair import RepairResult
from daemon.upkeep.scan import ScanInterruptedError
from gens.catalog import Catalog
from gens.generation import Generation


def test_passwords_of_urls_are_not_shown() -> None:
    shown = for_everybody("failed to fetch\nhttps://user:secret@index.example/simple/ twice")
    assert shown == "failed to fetch https://index.example/simple/ twice"


def test_each_error_has_a_kind() -> None:
    assert kind_of(DiskError("")) == "disk"
    assert kind_of(IndexAccessError("")) == "index"
    assert kind_of(IndexUnreachableError("")) == "index"
    assert kind_of(NotOnIndexError("")) == "index"
    assert kind_of(OSError(5, "")) == "disk"
    assert kind_of(ValueError("")) == "internal"


def test_the_last_errors_are_kept_newest_first() -> None:
    state = ServiceState()
    for number in range(30):
        state.add_error("disk", str(number), "full")
    assert [error.subject for error in state.last_errors()][:2] == ["29", "28"]
    assert len(state.last_errors()) == 20


def test_a_first_scan_that_sigterm_cuts_short_leaves_what_was_told_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    generation = Generation(0, "x86_64-manylinux_2_28", "2026-11-01T00:00:00Z", {}, (), ())
    features = tmp_path / "features.d" / "monobase"
    features.parent.mkdir()
    features.write_text("feature.node.kubernetes.io/monobase-ready=true\n")
    prefix = Prefix(tmp_path / "prefix")
    prefix.make_directories()
    known = Known({}, {"g00000": [Finding("monobase/g00000/python3.11", "lib/x.py", "changed")]})
    write_known(prefix, known)
    options = ServiceOptions(features_directory=features.parent)
    catalog = Catalog((generation,), tmp_path)
    service = Service(prefix, lambda: catalog, Path("uv"), options, Reporter())

    def cut_short(*_: object, **__: object) -> None:
        service.stop.set()
        raise ScanInterruptedError

    monkeypatch.setattr(service_module, "scan", cut_short)
    service.run()

    assert features.read_text() == "feature.node.kubernetes.io/monobase-ready=true\n"
    assert read_known(prefix) == known
    assert service.state.damage == known.damage


def _service(tmp_path: Path, *ids: int, **settings: Any) -> Service:  # noqa: ANN401
    generations = tuple(
        Generation(number, "x86_64-manylinux_2_28", "2026-11-01T00:00:00Z", {}, (), ()) for number in ids
    )
    prefix = Prefix(tmp_path / "prefix")
    prefix.make_directories()
    for generation in generations:
        prefix.generation(generation.directory_name).mkdir()
    catalog = Catalog(generations, tmp_path)
    options = ServiceOptions(retry_delay_s=3600, max_retry_delay_s=3600, check_interval_s=0.01, **settings)
    return Service(prefix, lambda: catalog, Path("uv"), options, Reporter(quiet=True))


def _rounds(service: Service, count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a service make some rounds."""
    counted = iter(range(count - 1))

    def tell() -> None:
        if next(counted, None) is None:
            service.stop.set()

    monkeypatch.setattr(service, "_tell", tell)
    monkeypatch.setattr(service_module, "install", lambda *_: InstallResult())
    service.run()


def _damage(name: str) -> list[Finding]:
    return [Finding(f"monobase/{name}/python3.11", "lib/x.py", "changed")]


@pytest.mark.parametrize("error", [OSError(5, "Input/output error", "g00001"), ValueError("what")])
def test_a_scan_that_fails_of_one_generation_leaves_the_others_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    service = _service(tmp_path, 0, 1, 2, repair=False)

    def scan(_: Prefix, names: list[str], **__: object) -> dict[str, list[Finding]]:
        if "g00001" in names:
            raise error
        return {name: _damage(name) for name in names if name == "g00000"}

    monkeypatch.setattr(service_module, "scan", scan)
    _rounds(service, 3, monkeypatch)
    assert list(service.state.damage) == ["g00000"]
    assert [retry.subject for retry in service.state.retries.pending()] == ["scan g00001"]
    assert list(service.state.known().unchecked) == ["g00001"]


def test_a_repair_that_fails_leaves_the_others_repaired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = _service(tmp_path, 0, 1, 2)
    damaged = {"g00000", "g00001", "g00002"}
    tried: list[str] = []

    def scan(_: Prefix, names: list[str], **__: object) -> dict[str, list[Finding]]:
        return {name: _damage(name) for name in names if name in damaged}

    def repair(_: Prefix, __: Catalog, ___: Path, names: list[str], *____: object) -> RepairResult:
        tried.extend(names)
        if names == ["g00001"]:
            raise IndexAccessError("lost")
        damaged.difference_update(names)
        return RepairResult()

    monkeypatch.setattr(service_module, "scan", scan)
    monkeypatch.setattr(service_module, "repair", repair)
    _rounds(service, 3, monkeypatch)
    assert sorted(tried) == ["g00000", "g00001", "g00002"]
    assert list(service.state.damage) == ["g00001"]
    assert [retry.subject for retry in service.state.retries.pending()] == ["repair g00001"]


def test_what_only_reading_everything_has_found_is_not_forgotten_by_a_quick_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = _service(tmp_path, 0, repair=False, verify_interval_s=1e-9)
    looks: list[bool] = []

    def scan(_: Prefix, names: list[str], *, full: bool, **__: object) -> dict[str, list[Finding]]:
        looks.append(full)
        service.options = replace(service.options, verify_interval_s=0)
        return {name: _damage(name) for name in names} if full else {}

    monkeypatch.setattr(service_module, "scan", scan)
    _rounds(service, 4, monkeypatch)
    assert True in looks
    assert service.state.damage == {"g00000": _damage("g00000")}


@pytest.mark.parametrize("error", [RuntimeError("what"), OSError(28, "No space left"), MemoryError()])
@pytest.mark.parametrize("part", ["_look_for_damage", "_install", "_prune", "_count", "_read_definitions"])
def test_no_fault_of_a_part_ends_the_loop_or_keeps_the_others_from_their_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, error: Exception
) -> None:
    service = _service(tmp_path, 0)
    done: list[str] = []

    def fail() -> None:
        raise error

    for name in ("_look_for_damage", "_prune", "_count"):
        monkeypatch.setattr(service, name, lambda name=name: done.append(name))
    monkeypatch.setattr(service, part, fail)
    _rounds(service, 3, monkeypatch)
    assert service.stop.is_set()
    if part in {"_look_for_damage", "_prune", "_count"}:
        assert set(done) >= {"_look_for_damage", "_prune", "_count"} - {part}
    assert service.state.retries.pending() != []
    assert not service.state.alive


def test_a_log_that_cannot_be_written_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w") as full:
        service = _service(tmp_path, 0)
        service._reporter = Reporter(full, "json")

        def fail() -> None:
            raise DiskError("full")

        monkeypatch.setattr(service, "_count", fail)
        _rounds(service, 3, monkeypatch)
        with suppress(OSError):
            full.close()
    assert [retry.subject for retry in service.state.retries.pending()] == ["count"]
