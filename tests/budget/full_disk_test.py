"""Evictions on a disk without room: not a byte or an inode is needed to begin with."""

import io
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from daemon.prefix.disk_budget import Amount, DiskBudget
from daemon.prefix.environments_file import read_targets
from daemon.prefix.generation import published_names
from daemon.prefix.lease_record import write_lease_record
from daemon.prefix.usage import disk_bytes
from daemon.prefix.writer_lock import writer_lock
from daemon.report.progress import Reporter
from daemon.upkeep.eviction import Room, eviction_rules, make_room
from daemon.upkeep.eviction_plan import ON_DEMAND
from daemon.upkeep.verify import verify
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.faults.mount import ext4, fill_bytes, fill_inodes, private_mounts, tmpfs
from tests.synthetic.catalog import PYTHON, environment_cell

_OWN_BYTES = 1_000_000
_DISK_BYTES = 40_000_000
_INODES = 4_000
_RELEASES = ("2.1.0", "2.2.0", "2.3.0")
_NAMES = [f"python{PYTHON}-torch{release}-cpu" for release in _RELEASES]


@pytest.fixture(scope="module", autouse=True)
def _mounts() -> None:
    private_mounts()


@pytest.fixture(params=["tmpfs", "ext4"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Provide a small file system."""
    mounts: dict[str, AbstractContextManager[Path]] = {
        "tmpfs": tmpfs(tmp_path / "disk", size_bytes=_DISK_BYTES, inodes=_INODES),
        "ext4": ext4(tmp_path / "disk", size_bytes=_DISK_BYTES, inodes=_INODES),
    }
    with mounts[request.param] as directory:
        yield directory


def _node(disk: Path) -> FakePrefix:
    """Make a prefix on a disk: a generation without a mark, as of a node that installs on demand."""
    fake = FakePrefix(disk)
    shared = fake.wheel("shared")
    owns = [
        fake.wheel("own", release, files={"own/data": os.urandom(_OWN_BYTES), "own/__init__.py": b""})
        for release in _RELEASES
    ]
    cells = zip(owns, _RELEASES, strict=True)
    fake.define(0, *(environment_cell([shared, own], torch=release) for own, release in cells))
    fake.publish(0)
    with writer_lock(fake.prefix, 0, lambda _: None):
        pass  # makes the lock files, which every installed prefix has
    write_lease_record(fake.prefix, {f"g00000/{name}": i + 1 for i, name in enumerate(_NAMES)})
    return fake


def _evict(fake: FakePrefix, less_bytes: int) -> Room:
    catalog, prefix = fake.catalog, fake.prefix
    rules = eviction_rules(prefix, catalog, catalog.between(None, None), (), ON_DEMAND)
    budget = DiskBudget(Amount("less", disk_bytes(prefix.root) - less_bytes))
    return make_room(prefix, budget, rules, 0, Reporter(io.StringIO()))


@pytest.mark.parametrize("sealed", [False, True])
@pytest.mark.parametrize("resource", ["bytes", "inodes"])
def test_an_eviction_begins_on_a_disk_without_room(disk: Path, resource: str, sealed: bool) -> None:
    fake = _node(disk)
    if sealed:
        fake.seal(0)
    if resource == "bytes":
        fill_bytes(disk / "filling")
    else:
        fill_inodes(disk / "filling")
    assert len(_evict(fake, 2 * _OWN_BYTES - _OWN_BYTES // 2).evicted) == 2
    assert published_names(fake.prefix, "g00000") == {_NAMES[2]}
    listed = {item.name: item.ready for item in read_targets(fake.prefix, "g00000")}
    assert listed == {_NAMES[0]: False, _NAMES[1]: False, _NAMES[2]: True}
    assert verify(fake.prefix, ["g00000"], 1, stores=True).findings == []
    assert not fake.prefix.staging.exists()


def test_what_nothing_uses_goes_on_a_disk_without_room(disk: Path) -> None:
    fake = _node(disk)
    unused = fake.wheel("unused", files={"unused/data": os.urandom(_OWN_BYTES)})
    fill_bytes(disk / "filling")
    assert _evict(fake, _OWN_BYTES // 2).evicted == ()
    assert published_names(fake.prefix, "g00000") == set(_NAMES)
    assert not fake.archive(unused).exists()
    assert verify(fake.prefix, ["g00000"], 1, stores=True).findings == []
