"""Finds the right bytes of a content, and drops wrong ones of the same name."""

import os
from pathlib import Path

import pytest

from daemon.host.file_content import file_sha256
from daemon.prefix.content_source import ContentSource, link_or_copy
from daemon.prefix.content_store import ContentStore
from daemon.prefix.inventory import InventoryFile

_RIGHT = b"the right bytes"


@pytest.fixture
def source(tmp_path: Path) -> ContentSource:
    (tmp_path / "staging").mkdir()
    store = ContentStore(tmp_path / "files", tmp_path / "staging")
    return ContentSource(tmp_path / "staging", store, {0, os.geteuid()})


def _file(tmp_path: Path, content: bytes = _RIGHT, mode: int = 0o644) -> InventoryFile:
    (tmp_path / "right").write_bytes(content)
    return InventoryFile("lib/a.py", file_sha256(tmp_path / "right"), len(content), mode)


def _write(path: Path, content: bytes, mode: int = 0o644) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_what_nothing_has_is_none(source: ContentSource, tmp_path: Path) -> None:
    assert source.take(_file(tmp_path), [tmp_path / "nowhere"]) is None


def test_a_sound_place_lends_its_inode_and_the_store_gets_it_as_well(
    source: ContentSource, tmp_path: Path
) -> None:
    file = _file(tmp_path)
    place = _write(tmp_path / "archive" / "a.py", _RIGHT)
    staged = source.take(file, [place])
    assert staged is not None
    assert staged.stat().st_ino == place.stat().st_ino
    assert source.store.path(file.sha256, False).stat().st_ino == place.stat().st_ino


def test_a_wrong_place_is_replaced_by_the_right_inode_and_goes_where_there_is_none(
    source: ContentSource, tmp_path: Path
) -> None:
    file = _file(tmp_path)
    right = _write(tmp_path / "archive" / "a.py", _RIGHT)
    wrong = _write(tmp_path / "other" / "a.py", b"the wrong bytes")
    folder = tmp_path / "folder" / "a.py"
    (folder / "deep").mkdir(parents=True)
    staged = source.take(file, [right, wrong, folder])
    assert staged is not None
    assert {path.stat().st_ino for path in (right, wrong, folder)} == {staged.stat().st_ino}
    _write(right.with_name("b.py"), b"x")
    alone = _write(tmp_path / "alone" / "a.py", b"wrong")
    other = InventoryFile("lib/b.py", "0" * 64, 5, 0o644)
    assert source.take(other, [alone]) is None
    assert not alone.exists()


def test_a_file_of_which_only_the_mode_is_wrong_is_copied(source: ContentSource, tmp_path: Path) -> None:
    file = _file(tmp_path)
    lender = _write(tmp_path / "lent", _RIGHT, 0o600)
    staged = source.take(file, [], [lender])
    assert staged is not None
    assert staged.stat().st_ino != lender.stat().st_ino
    assert (staged.read_bytes(), staged.stat().st_mode & 0o777) == (_RIGHT, 0o644)
    assert lender.stat().st_mode & 0o777 == 0o600


def test_an_empty_file_needs_no_source_and_is_shared_with_nobody(
    source: ContentSource, tmp_path: Path
) -> None:
    file = _file(tmp_path, b"", 0o755)
    staged = source.take(file, [])
    assert staged is not None
    assert (staged.stat().st_size, staged.stat().st_mode & 0o777) == (0, 0o755)
    assert not (tmp_path / "files").exists()


def test_an_entry_of_another_mode_stays_unless_it_is_the_damaged_file_itself(
    source: ContentSource, tmp_path: Path
) -> None:
    file = _file(tmp_path)
    entry = source.store.path(file.sha256, False)
    _write(entry, _RIGHT, 0o640)
    inode = entry.stat().st_ino
    damaged = _write(tmp_path / "damaged", b"something else")
    assert source.take(file, [], [damaged]) is not None
    assert entry.stat().st_ino == inode
    damaged.unlink()
    os.link(entry, damaged)
    assert source.take(file, [], [damaged]) is not None
    assert entry.stat().st_ino != inode
    assert source.is_sound(entry, file)


def test_missing_bytecode_is_linked_where_it_is_shared(source: ContentSource, tmp_path: Path) -> None:
    file = _file(tmp_path)
    lender = _write(tmp_path / "lent", _RIGHT)
    shared = tmp_path / "pyc" / "ab" / "shared.pyc"
    assert source.take(file, [shared], [lender]) is not None
    assert shared.read_bytes() == _RIGHT


def test_a_file_that_cannot_be_linked_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(31, os.strerror(31))

    source = _write(tmp_path / "a", _RIGHT)
    monkeypatch.setattr(os, "link", refuse)
    link_or_copy(source, tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == _RIGHT
    assert (tmp_path / "b").stat().st_ino != source.stat().st_ino


def test_a_link_that_is_refused_for_another_reason_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        link_or_copy(tmp_path / "nowhere", tmp_path / "b")
