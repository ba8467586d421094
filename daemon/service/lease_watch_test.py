"""Leases as the daemon remembers them."""

import errno
import fcntl
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from daemon.prefix.lease_record import read_lease_record, write_lease_record
from daemon.service import lease_watch
from daemon.service.lease_watch import LeaseWatch
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.fake_service.fake_service import FakeService
from tests.synthetic.catalog import PYTHON, environment_cell

_LATER_S = 4_000_000_000
_TORCH = f"python{PYTHON}-torch2.1.0-cpu"


class _Watch:
    def __init__(self, directory: Path) -> None:
        self.fake = FakePrefix(directory)
        alpha = self.fake.wheel("alpha")
        self.fake.install(0, environment_cell([alpha]), environment_cell([alpha], torch="2.1.0"))
        self.service = FakeService(self.fake)
        self.state = self.service.context.state
        self.watch = LeaseWatch(self.service.context)


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Watch:
    monkeypatch.setattr(lease_watch, "time", SimpleNamespace(time=lambda: float(_LATER_S)))
    return _Watch(tmp_path)


def test_what_was_never_leased_was_used_when_it_was_installed(site: _Watch) -> None:
    assert not site.watch.look()
    assert set(site.state.leases.last_uses) == {f"g00000/python{PYTHON}", f"g00000/{_TORCH}"}
    assert max(site.state.leases.last_uses.values()) < _LATER_S
    assert site.state.leases.environments == frozenset()


def test_a_lease_is_remembered_when_it_has_ended_also_by_the_next_daemon(site: _Watch) -> None:
    descriptor = os.open(site.fake.tree(0, _TORCH), os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    assert not site.watch.look()
    assert site.state.leases.environments == {f"g00000/{_TORCH}"}
    os.close(descriptor)
    assert site.watch.look()
    assert site.state.leases.environments == frozenset()
    assert site.state.leases.last_uses[f"g00000/{_TORCH}"] == _LATER_S
    assert read_lease_record(site.fake.prefix)[f"g00000/{_TORCH}"] == _LATER_S


def test_a_lease_on_a_generation_is_no_use_of_one_of_its_environments(site: _Watch) -> None:
    with site.fake.lease(0):
        site.watch.look()
        assert site.state.leases.generations == {"g00000"}
    assert max(site.state.leases.last_uses.values()) < _LATER_S
    assert site.watch.look()


def test_an_environment_that_is_gone_is_forgotten(site: _Watch) -> None:
    write_lease_record(site.fake.prefix, {f"g00000/python{PYTHON}": 5, f"g00000/{_TORCH}": 6})
    site.watch.look()
    assert len(read_lease_record(site.fake.prefix)) == 2
    site.fake.tree(0, _TORCH).rename(site.fake.directory / "away")
    site.watch.look()
    assert read_lease_record(site.fake.prefix) == {f"g00000/python{PYTHON}": 5}


def test_a_record_of_a_newer_release_stays_and_is_named_and_what_was_seen_counts(site: _Watch) -> None:
    path = site.fake.prefix.generations / ".leases.json"
    path.write_bytes(b'{"format": 2}')
    descriptor = os.open(site.fake.tree(0, _TORCH), os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    site.watch.look()
    os.close(descriptor)
    assert site.watch.look()
    assert path.read_bytes() == b'{"format": 2}'
    assert site.service.failed == ["lease record"]
    assert site.state.leases.last_uses[f"g00000/{_TORCH}"] == _LATER_S


def test_a_disk_without_room_for_the_record_keeps_no_end_of_a_lease_from_who_waits_for_it(
    site: _Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(lease_watch, "write_lease_record", fail)
    with site.fake.lease(0):
        assert not site.watch.look()
    assert site.watch.look()
    assert site.service.failed == ["lease record"]
