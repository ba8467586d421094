"""Tests of the announcements: the log, the feature file, and the file for probes."""

from pathlib import Path

import pytest

from daemon.service import context as context_module
from daemon.service.announcement import Announcement
from daemon.upkeep.known_file import read_known
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.fake_service.fake_service import FakeService


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    fake.define(0)
    return fake


def test_a_change_of_readiness_is_logged_once(fake: FakePrefix) -> None:
    service = FakeService(fake)
    announcement = Announcement(service.context)
    announcement.write()
    announcement.write()
    assert len(service.log) == 1
    assert service.log[0].startswith("warning: not ready: g00000: ")
    fake.install(0)
    service.context.state.set_damage({})
    announcement.write()
    announcement.write()
    assert service.log[1:] == ["info: ready"]


def test_features_are_written_when_they_change(fake: FakePrefix, tmp_path: Path) -> None:
    service = FakeService(fake, features_directory=tmp_path)
    announcement = Announcement(service.context)
    announcement.write()
    announcement.write()
    assert "monobase-ready=false" in (tmp_path / "monobase").read_text()
    assert service.log.count(f"info: wrote the features of this node to {tmp_path}") == 1


def test_features_that_cannot_be_written_keep_no_probe_from_its_file(
    fake: FakePrefix, tmp_path: Path
) -> None:
    service = FakeService(fake, features_directory=tmp_path / "nowhere")
    service.context.retries.failed("prune", "busy")
    Announcement(service.context).write()
    assert service.failed == ["features", "prune"]
    assert [retry.subject for retry in read_known(fake.prefix).retries] == ["features", "prune"]


def test_the_last_word_is_written_though_the_service_is_to_stop(
    fake: FakePrefix, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = FakeService(fake)
    service.context.stop.set()
    service.context.retries.failed("prune", "busy")
    announcement = Announcement(service.context)
    announcement.write_last()
    assert [retry.subject for retry in read_known(fake.prefix).retries] == ["prune"]

    def fail(*_: object) -> None:
        raise OSError(30, "Read-only file system", "/srv")

    monkeypatch.setattr(context_module, "write_known", fail)
    announcement.write_last()
    assert "Read-only file system" in service.log[-1]
