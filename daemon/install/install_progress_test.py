"""The progress of an install, as models read it."""

import time
from pathlib import Path

import pytest

from daemon.install import install_progress
from daemon.install.install_progress import InstallProgress
from daemon.install.wanted import Wanted
from daemon.prefix.progress_file import ProgressLine, read_progress
from tests.fake_prefix.fake_prefix import FakePrefix


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    return FakePrefix(tmp_path)


@pytest.fixture
def wanted(fake: FakePrefix) -> list[Wanted]:
    generation = fake.define(0)
    return [
        Wanted(generation, target, fake.catalog.lock(generation, target)) for target in generation.targets
    ]


def _line(item: Wanted, stage: str, done: int = 0, total: int = 0) -> ProgressLine:
    return ProgressLine("g00000", item.target.name, stage, done, total)


def test_the_stage_and_the_bytes_of_a_batch_are_written_and_what_comes_after_it(
    fake: FakePrefix, wanted: list[Wanted]
) -> None:
    first, second = wanted
    progress = InstallProgress(fake.prefix)
    progress.begin([first], [second])
    progress.enter("fetch", 100)
    assert read_progress(fake.prefix) == [_line(first, "fetch", 0, 100), _line(second, "queued")]
    progress.arrived(40)
    progress.enter("link")
    assert read_progress(fake.prefix) == [_line(first, "link", 40, 100), _line(second, "queued")]
    progress.begin([second], [])
    progress.enter("fetch", 0)
    assert read_progress(fake.prefix) == [_line(second, "fetch")]
    progress.end()
    assert read_progress(fake.prefix) == []


def test_steps_that_overlap_have_a_stage_and_bytes_of_their_own(
    fake: FakePrefix, wanted: list[Wanted]
) -> None:
    first, second = wanted
    progress = InstallProgress(fake.prefix)
    progress.begin(wanted, [])
    progress.enter("fetch", 100, [first])
    assert read_progress(fake.prefix) == [_line(first, "fetch", 0, 100), _line(second, "queued")]
    progress.arrived(100)
    progress.enter("fetch", 50, [second])
    progress.enter("link", items=[first])
    progress.arrived(20)
    progress.enter("compile", items=[first])
    assert read_progress(fake.prefix) == [_line(first, "compile", 100, 100), _line(second, "fetch", 20, 50)]
    progress.leave([first])
    assert read_progress(fake.prefix) == [_line(second, "fetch", 20, 50)]


def test_bytes_are_written_from_time_to_time_and_never_more_than_all(
    fake: FakePrefix, wanted: list[Wanted], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    progress = InstallProgress(fake.prefix)
    progress.begin(wanted[:1], [])
    progress.enter("fetch", 100)
    progress.arrived(40)
    assert read_progress(fake.prefix)[0].done_bytes == 0
    now += 1
    progress.arrived(1)
    assert read_progress(fake.prefix)[0].done_bytes == 41
    now += 1
    progress.arrived(1000)
    assert read_progress(fake.prefix)[0].done_bytes == 100


def test_what_uv_has_received_of_wheels_that_have_not_arrived_counts(
    fake: FakePrefix, wanted: list[Wanted], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(install_progress, "_INTERVAL_S", 0.0)
    progress = InstallProgress(fake.prefix)
    progress.begin(wanted[:1], [])
    progress.enter("fetch", 100)
    done = []
    for call, count in (("a", 10), ("a", 30), ("b", 20)):
        progress.received(call, count)
        done.append(read_progress(fake.prefix)[0].done_bytes)
    progress.arrived(40)  # of which uv has reported 30
    done.append(read_progress(fake.prefix)[0].done_bytes)
    progress.received("b", 200)
    done.append(read_progress(fake.prefix)[0].done_bytes)
    assert done == [10, 30, 50, 50, 100]


def test_a_disk_that_takes_no_progress_stops_no_install(
    fake: FakePrefix, wanted: list[Wanted], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(install_progress, "write_progress", refuse)
    monkeypatch.setattr(install_progress, "remove_progress", refuse)
    progress = InstallProgress(fake.prefix)
    progress.begin(wanted, [])
    progress.enter("fetch", 100)
    progress.end()
