"""Retires published trees as a whole, and only those that nobody leases."""

import errno
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.host import durability
from daemon.host.durability import write_file
from daemon.prefix import environments_file, publication
from daemon.prefix.environments_file import read_targets
from daemon.prefix.generation import is_sealed
from daemon.prefix.retirement import (
    empty_uv_cache,
    remove_evicted,
    remove_tree,
    remove_unused,
    retire,
    retire_environment,
)
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


def _lock(folder: Path) -> int:
    descriptor = os.open(folder, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    return descriptor


def test_a_generation_stays_whose_environment_is_leased(fake: FakePrefix, writer: WriterLock) -> None:
    begin_staging(fake.prefix)
    descriptor = _lock(fake.tree(0))
    assert not retire(writer, "g00000")
    os.close(descriptor)
    assert retire(writer, "g00000")


def test_an_environment_goes_alone_and_the_list_says_so(fake: FakePrefix, writer: WriterLock) -> None:
    begin_staging(fake.prefix)
    away = retire_environment(writer, "g00000", fake.environment)
    assert away is not None
    assert {item.name: item.ready for item in read_targets(fake.prefix, "g00000")} == {
        fake.environment: False, fake.toolkit: True
    }  # fmt: skip
    assert not is_sealed(fake.prefix, fake.generation(0))
    assert is_sealed(fake.prefix, fake.generation(0), {fake.toolkit})
    text = fake.prefix.environments_file("g00000").read_text()
    assert text.splitlines()[1] == "generation g00000 partial"
    assert (away.tree / ".manifest").exists()
    assert remove_evicted(writer, away).freed_bytes > 0
    assert not away.tree.exists()


@pytest.mark.parametrize("failures", [1, 2])
def test_on_a_full_disk_no_list_calls_ready_what_goes_and_the_list_comes_back_with_the_room(
    fake: FakePrefix, writer: WriterLock, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    path = fake.prefix.environments_file("g00000")
    left = [True] * failures

    def write(path: Path, content: bytes, suffix: str = ".tmp") -> None:
        if left:
            left.pop()
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        write_file(path, content, suffix)

    monkeypatch.setattr(environments_file, "write_file", write)
    monkeypatch.setattr(durability, "write_file", write)
    retired = retire_environment(writer, "g00000", fake.environment)
    assert retired is not None
    assert path.exists() == (failures == 1)
    assert not fake.tree(0).exists()
    assert remove_evicted(writer, retired).freed_bytes > 0
    assert {item.name: item.ready for item in read_targets(fake.prefix, "g00000")} == {
        fake.environment: False, fake.toolkit: True
    }  # fmt: skip


@pytest.mark.parametrize("why", ["full disk", "damage"])
def test_a_mark_that_cannot_name_the_others_alone_goes_as_a_whole(
    fake: FakePrefix, writer: WriterLock, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    path = fake.prefix.sealed_mark("g00000")
    if why == "damage":
        path.write_bytes(b"\x00")

    def write(path: Path, *_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    monkeypatch.setattr(publication, "write_mark", write)
    assert retire_environment(writer, "g00000", fake.environment) is not None
    assert not path.exists()
    assert not fake.tree(0).exists()


def test_a_mark_that_cannot_be_written_for_another_reason_keeps_the_environment(
    fake: FakePrefix, writer: WriterLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, *_: object) -> None:
        raise OSError(errno.EIO, "Input/output error", str(path))

    monkeypatch.setattr(publication, "write_mark", fail)
    with pytest.raises(OSError, match="Input/output"):
        retire_environment(writer, "g00000", fake.environment)
    assert fake.tree(0).exists()
    assert is_sealed(fake.prefix, fake.generation(0))


def test_a_list_that_cannot_be_written_for_another_reason_keeps_the_environment(
    fake: FakePrefix, writer: WriterLock, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = fake.prefix.environments_file("g00000").read_bytes()

    def fail(path: Path, *_: object) -> None:
        raise OSError(errno.EIO, "Input/output error", str(path))

    monkeypatch.setattr(durability, "write_file", fail)
    with pytest.raises(OSError, match="Input/output"):
        retire_environment(writer, "g00000", fake.environment)
    assert fake.tree(0).exists()
    assert fake.prefix.environments_file("g00000").read_bytes() == text


def test_without_a_staging_folder_what_goes_takes_its_place(fake: FakePrefix, writer: WriterLock) -> None:
    retired = retire_environment(writer, "g00000", fake.environment)
    assert retired is not None
    assert retired.tree == fake.prefix.staging
    remove_evicted(writer, retired)
    fake.prefix.generation("g00000").joinpath(fake.toolkit).unlink()
    assert remove_unused(writer, str(fake.prefix.toolkits / "cudnn-9.1.0.70-cuda12")).freed_inodes > 1
    assert not fake.prefix.staging.exists()
    assert list(fake.prefix.toolkits.iterdir()) == []


@pytest.mark.parametrize("of_the_generation", [False, True])
def test_an_environment_that_is_leased_stays_as_it_was(
    fake: FakePrefix, writer: WriterLock, of_the_generation: bool
) -> None:
    begin_staging(fake.prefix)
    text = fake.prefix.environments_file("g00000").read_text()
    tree = fake.tree(0)
    descriptor = _lock(tree.parent if of_the_generation else tree)
    assert retire_environment(writer, "g00000", fake.environment) is None
    os.close(descriptor)
    assert fake.prefix.environments_file("g00000").read_text() == text
    assert fake.prefix.sealed_mark("g00000").exists()


def test_an_environment_of_a_generation_without_a_list_goes(fake: FakePrefix, writer: WriterLock) -> None:
    begin_staging(fake.prefix)
    fake.prefix.environments_file("g00000").unlink()
    assert retire_environment(writer, "g00000", fake.environment) is not None
    assert not fake.prefix.environments_file("g00000").exists()
