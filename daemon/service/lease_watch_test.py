"""Leases as the daemon remembers them."""

import fcntl
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from daemon.prefix.lease_record import read_lease_record, write_lease_record
from daemon.service import lease_watch
from daemon.service.lease_watch import LeaseWatch
from daemon.service.state import ServiceState
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.synthetic.catalog import PYTHON, environment_cell

_LATER_S = 4_000_000_000
_TORCH = f"python{PYTHON}-torch2.1.0-cpu"


class _Watch:
    def __init__(self, directory: Path) -> None:
        self.fake = FakePrefix(directory)
        alpha = self.fake.wheel("alpha")
        self.fake.install(0, environment_cell([alpha]), environment_cell([alpha], torch="2.1.0"))
        self.state = ServiceState()
        context = SimpleNamespace(prefix=self.fake.prefix, state=self.state)
        self.watch = LeaseWatch(context)  # type: ignore[arg-type]


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
