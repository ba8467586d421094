"""Tests that a manifest that may have changed is read, and another is not."""

import gzip
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from daemon.errors import NewerFormatError
from daemon.prefix import manifest_memory
from daemon.prefix.manifest import Manifest, format_manifest
from daemon.prefix.manifest_memory import ManifestMemory, manifest_digests


def _content(target: str) -> bytes:
    return format_manifest(Manifest(target, "0" * 64))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / ".manifest"
    path.write_bytes(_content("one"))
    return path


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """List the manifests that are read."""
    read: list[Path] = []

    def note(path: Path) -> tuple[str, str]:
        read.append(path)
        return manifest_digests(path)

    monkeypatch.setattr(manifest_memory, "manifest_digests", note)
    return read


def test_what_has_not_changed_for_long_enough_is_read_once_more_and_then_no_more(
    path: Path, read: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    now_s = [100.0]
    monkeypatch.setattr(manifest_memory, "time", SimpleNamespace(monotonic=lambda: now_s[0]))
    memory = ManifestMemory(settled_after_s=2)
    counts = []
    for now_s[0] in (100.0, 100.0, 101.9, 102.0, 102.0, 103.0, 9_000.0):
        assert memory.digests(path) == manifest_digests(path)
        counts.append(len(read))
    assert counts == [1, 2, 3, 4, 4, 4, 4]


def test_a_file_that_changed_in_any_way_is_read_again(path: Path, read: list[Path], tmp_path: Path) -> None:
    memory = ManifestMemory(settled_after_s=0)
    before = memory.digests(path)
    status = path.stat()
    while path.stat().st_ctime_ns == status.st_ctime_ns:  # until the clock of the file system has gone on
        path.write_bytes(_content("two"))  # of the same size
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (status.st_size, status.st_mtime_ns)
    assert memory.digests(path) == manifest_digests(path) != before
    (tmp_path / "new").write_bytes(_content("one"))
    (tmp_path / "new").rename(path)
    assert memory.digests(path) == before
    path.write_bytes(b"")
    assert memory.digests(path)[1] != before[1]
    assert len(read) == 4


def test_a_file_that_changes_while_it_is_read_is_not_remembered(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    memory = ManifestMemory(settled_after_s=0)

    def read_and_replace(path: Path) -> tuple[str, str]:
        digests = manifest_digests(path)
        path.with_name("new").write_bytes(_content("other"))
        path.with_name("new").rename(path)
        return digests

    monkeypatch.setattr(manifest_memory, "manifest_digests", read_and_replace)
    memory.digests(path)
    monkeypatch.setattr(manifest_memory, "manifest_digests", manifest_digests)
    assert memory.digests(path) == manifest_digests(path)


def test_a_file_that_is_gone_or_of_a_newer_release_is_reported_each_time(path: Path) -> None:
    memory = ManifestMemory(settled_after_s=0)
    memory.digests(path)
    text = gzip.decompress(path.read_bytes()).replace(b"monobase-manifest 1", b"monobase-manifest 999")
    path.write_bytes(gzip.compress(text))
    for _ in range(2):
        with pytest.raises(NewerFormatError):
            memory.digests(path)
    path.unlink()
    for _ in range(2):
        with pytest.raises(FileNotFoundError):
            memory.digests(path)


def test_the_memory_is_bounded(tmp_path: Path, read: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest_memory, "_MAX_MANIFESTS", 3)
    memory = ManifestMemory(settled_after_s=0)
    for number in range(4):
        (tmp_path / str(number)).write_bytes(_content(str(number)))
        memory.digests(tmp_path / str(number))
    memory.digests(tmp_path / "0")
    assert len(read) == 5
    memory.digests(tmp_path / "3")
    assert len(read) == 5
