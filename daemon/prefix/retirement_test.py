"""Retires published trees as a whole, and only those that nobody leases."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.prefix.retirement import empty_uv_cache, remove_tree, remove_unused, retire
from daemon.prefix.staging import begin_staging
from daemon.prefix.writer_lock import WriterLock, writer_lock
from tests.fake_prefix.fake_prefix import FakePrefix


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    fake.install(0)
    fake.prefix.latest.unlink()
    return fake


@pytest.fixture
def writer(fake: FakePrefix) -> Iterator[WriterLock]:
    with writer_lock(fake.prefix, 0, lambda _: None) as writer:
        yield writer


def test_a_generation_that_is_leased_stays_and_can_be_retired_afterwards(
    fake: FakePrefix, writer: WriterLock
) -> None:
    begin_staging(fake.prefix)
    with fake.lease(0):
        assert not retire(writer, "g00000")
        assert fake.prefix.generation("g00000").is_dir()
    assert retire(writer, "g00000")
    assert (fake.prefix.staging / "g00000").is_dir()


def test_files_links_and_trees_are_removed_with_what_they_free(fake: FakePrefix, writer: WriterLock) -> None:
    begin_staging(fake.prefix)
    own = fake.prefix.toolkits / "own"
    own.mkdir()
    (own / "file").write_bytes(bytes(8192))
    (fake.prefix.toolkits / "link").symlink_to("own")
    assert remove_unused(writer, str(fake.prefix.toolkits / "link")).freed_inodes == 1
    assert remove_unused(writer, str(own)).freed_bytes >= 8192
    assert [path.name for path in fake.prefix.toolkits.iterdir()] == ["cudnn-9.1.0.70-cuda12"]
    remove_tree(writer, fake.prefix.toolkits / "cudnn-9.1.0.70-cuda12")
    assert list(fake.prefix.toolkits.iterdir()) == []
    assert list(fake.prefix.staging.iterdir()) == []


def test_an_emptied_cache_leaves_installed_files_and_drops_contents_that_nothing_links(
    fake: FakePrefix, writer: WriterLock
) -> None:
    fake.wheel("unused", files={"unused.py": b"nobody installs it\n"})
    contents = {path.name for path in fake.prefix.files.rglob("*") if path.is_file()}
    assert empty_uv_cache(writer) > 0
    left = {path.name for path in fake.prefix.files.rglob("*") if path.is_file()}
    assert left < contents
    assert all(path.stat().st_nlink > 1 for path in fake.prefix.files.rglob("*") if path.is_file())
    assert list(fake.prefix.uv_cache.iterdir()) == []
    assert not fake.prefix.staging.exists()


def test_a_cache_that_is_gone_is_made(fake: FakePrefix, writer: WriterLock) -> None:
    fake.prefix.uv_cache.rename(fake.directory / "away")
    empty_uv_cache(writer)
    assert fake.prefix.uv_cache.is_dir()
