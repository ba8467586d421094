"""Removes trees, and counts the bytes that are freed, links included."""

import os
from pathlib import Path

import pytest

from daemon.host.removal import LinkCount, remove, walk


def _blocks(path: Path) -> int:
    return path.lstat().st_blocks * 512


def test_a_file_that_has_another_name_frees_nothing(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    first.write_bytes(bytes(50_000))
    os.link(first, second)
    count = LinkCount()
    count.take_tree(str(first))
    assert count.freed_bytes == 0
    assert count.links_left(second.lstat()) == 1
    count.take_tree(str(second))
    assert count.freed_bytes == _blocks(second)


def test_the_prediction_is_what_removing_frees(tmp_path: Path) -> None:
    tree, kept = tmp_path / "tree", tmp_path / "kept"
    (tree / "deep" / "deeper").mkdir(parents=True)
    kept.write_bytes(bytes(10_000))
    os.link(kept, tree / "deep" / "shared")
    (tree / "own").write_bytes(bytes(30_000))
    os.link(tree / "own", tree / "deep" / "twice")
    (tree / "link").symlink_to("own")
    predicted = LinkCount()
    predicted.take_tree(str(tree))
    freed = remove([str(tree)])
    assert not tree.exists()
    assert kept.stat().st_nlink == 1
    assert freed.freed_bytes == predicted.freed_bytes >= 30_000
    assert freed.freed_inodes == predicted.freed_inodes == 5


def test_what_a_link_names_stays(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").write_bytes(b"1")
    (tmp_path / "link").symlink_to("folder")
    remove([str(tmp_path / "link"), str(tmp_path / "nowhere")])
    assert (tmp_path / "folder" / "file").exists()
    assert not (tmp_path / "link").is_symlink()


def test_a_file_a_link_and_nothing_are_walked_as_such(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path)
    for name in ("file", "link"):
        assert [(path, folder) for path, _, folder in walk(str(tmp_path / name))] == [
            (str(tmp_path / name), False)
        ]
    assert list(walk(str(tmp_path / "nowhere"))) == []


def test_what_cannot_be_listed_is_not_said_to_be_freed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str) -> object:
        raise PermissionError(13, "Permission denied", path)

    (tmp_path / "folder").mkdir()
    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(PermissionError):
        remove([str(tmp_path / "folder")])


def test_what_two_removals_freed_is_added() -> None:
    first, second = LinkCount(1, 2), LinkCount(10, 20)
    first.add(second)
    assert (first.freed_bytes, first.freed_inodes) == (11, 22)
