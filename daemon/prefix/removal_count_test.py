"""Counts of what a removal would free, and of what goes with it."""

import os
import shutil
from pathlib import Path

import pytest

from daemon.prefix.removal_count import RemovalCount
from daemon.prefix.usage import disk_bytes
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.synthetic.catalog import environment_cell


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    own = fake.wheel("own", files={"own/data": os.urandom(100_000)})
    other = fake.wheel("other", files={"other/data": os.urandom(50_000)})
    fake.install(0, environment_cell([own, other]), environment_cell([other], torch="2.1.0"))
    return fake


def _remove(paths: list[str]) -> None:
    for path in paths:
        if Path(path).is_dir():
            shutil.rmtree(path)
        else:
            Path(path).unlink()


def test_a_file_that_is_linked_elsewhere_frees_nothing(fake: FakePrefix) -> None:
    count = RemovalCount(fake.prefix)
    count.take(str(fake.tree(0)))
    assert count.freed_bytes < 100_000


def test_a_content_goes_with_the_last_other_link_of_its_inode(fake: FakePrefix) -> None:
    count = RemovalCount(fake.prefix)
    count.take(str(fake.tree(0)))
    (archive,) = (path.parent.parent for path in fake.prefix.uv_cache.rglob("own/data"))
    count.take(str(archive))
    assert count.freed_bytes > 100_000
    before = disk_bytes(fake.prefix.root)
    _remove(list(count.paths))
    assert before - disk_bytes(fake.prefix.root) == count.freed_bytes


def test_a_path_counts_once(fake: FakePrefix) -> None:
    count = RemovalCount(fake.prefix)
    count.take(str(fake.tree(0)))
    before = count.freed_bytes
    count.take(str(fake.tree(0)))
    assert count.freed_bytes == before


def test_contents_that_nothing_else_links_are_found(fake: FakePrefix) -> None:
    count = RemovalCount(fake.prefix)
    count.take_unused_contents()
    assert count.freed_bytes == 0
    (archive,) = (path.parent.parent for path in fake.prefix.uv_cache.rglob("own/data"))
    shutil.rmtree(archive)
    shutil.rmtree(fake.tree(0))
    count = RemovalCount(fake.prefix)
    count.take_unused_contents()
    assert 100_000 < count.freed_bytes < 150_000
