"""The facts on the status page."""

import fcntl
import os
from pathlib import Path

import pytest

from daemon.prefix.progress_file import ProgressLine, write_progress
from daemon.prefix.usage import TreeUsage, Usage
from daemon.service import page_facts
from daemon.service.page_facts import read_page_facts
from daemon.service.state import LeaseState
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.fake_service.fake_service import FakeService


@pytest.fixture
def service(tmp_path: Path) -> FakeService:
    fake = FakePrefix(tmp_path)
    fake.install(0)
    return FakeService(fake)


def test_they_are_the_definitions_the_bytes_and_the_failures(service: FakeService) -> None:
    trees = {"g00000/python3.11": TreeUsage(4, 3)}
    service.context.state.usage = Usage({}, 4, 0, trees)
    service.context.retries.failed("install g00000/python3.11", "the index lost it")
    facts = read_page_facts(service.context)
    assert list(facts.definitions) == ["g00000"]
    assert facts.trees == trees
    assert "g00000/python3.11" in facts.explained
    assert facts.free_bytes is not None
    assert facts.free_bytes > 0


def test_a_prefix_that_is_gone_has_no_free_bytes(service: FakeService) -> None:
    service.fake.prefix.root.rename(service.fake.directory / "gone")
    assert read_page_facts(service.context).free_bytes is None


def test_what_is_installed_now_is_read_from_its_file(service: FakeService) -> None:
    line = ProgressLine("g00000", "python3.11", "fetch", 3, 9)
    write_progress(service.fake.prefix, [line])
    assert read_page_facts(service.context).progress == {"g00000/python3.11": line}


def test_models_are_counted_only_where_something_is_leased(
    service: FakeService, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree, label = service.fake.tree(0), f"g00000/{service.fake.environment}"
    status = tree.stat()
    shown = {(os.major(status.st_dev), os.minor(status.st_dev), status.st_ino): 2}
    monkeypatch.setattr(page_facts, "visible_leases", lambda: shown)
    assert read_page_facts(service.context).models == {}
    service.context.state.leases = LeaseState({label: 1}, frozenset({label}), frozenset({"g00000"}))
    assert read_page_facts(service.context).models == {label: 2}


def test_looking_leaves_leases_alone(service: FakeService, monkeypatch: pytest.MonkeyPatch) -> None:
    label = f"g00000/{service.fake.environment}"
    leases = service.context.state.leases = LeaseState({label: 1}, frozenset({label}))
    monkeypatch.setattr(fcntl, "flock", lambda *_: pytest.fail("a lock keeps models from leasing"))
    assert read_page_facts(service.context).leases == leases
