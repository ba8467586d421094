"""Each entry of a tree once, whatever happens to it meanwhile."""

import os
import shutil
import threading
from pathlib import Path

import pytest

from daemon.host.tree_walk import walk_files, walk_tree


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "b" / "deep").mkdir(parents=True)
    (tmp_path / "a").mkdir()
    for name in ("z", "a/file", "b/file", "b/deep/file"):
        (tmp_path / name).touch()
    (tmp_path / "link").symlink_to("a")
    os.mkfifo(tmp_path / "pipe")
    return tmp_path


def test_everything_is_given_once_with_folders_before_their_content(tree: Path) -> None:
    found = [(entry.relative, entry.is_folder) for entry in walk_tree(str(tree))]
    names = [name for name, _ in found]
    assert sorted(names) == sorted(["", *(str(path.relative_to(tree)) for path in tree.rglob("*"))])
    assert {name for name, folder in found if folder} == {"", "a", "b", "b/deep"}
    assert names.index("b") < names.index("b/file") < names.index("b/deep/file")
    assert names[0] == ""


def test_folders_come_after_their_content_when_they_are_to_be_removed(tree: Path) -> None:
    names = [entry.relative for entry in walk_tree(str(tree), folders_last=True)]
    assert names.index("b/deep/file") < names.index("b/deep") < names.index("b") < names.index("")
    assert names[-1] == ""
    assert len(names) == len(set(names))


def test_a_folder_that_is_not_entered_is_given_with_the_number_of_its_files(tree: Path) -> None:
    found = {entry.relative: entry.files for entry in walk_tree(str(tree), {"a"})}
    assert found == {"": 0, "a": 0, "a/file": 0, "b": 2, "link": 0, "pipe": 0, "z": 0}


def test_a_link_to_a_folder_is_not_followed(tree: Path) -> None:
    names = [os.path.relpath(path, tree) for path, _ in walk_files(str(tree))]
    assert [name for name in names if "link" in name] == ["link"]


def test_what_cannot_be_listed_is_given_with_why_and_ends_a_walk_over_files(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.scandir

    def refuse(path: str) -> object:
        if path.endswith("/b"):
            raise PermissionError(13, "Permission denied", path)
        return real(path)

    monkeypatch.setattr(os, "scandir", refuse)
    found = {entry.relative: entry.failure for entry in walk_tree(str(tree))}
    assert "b/file" not in found
    assert isinstance(found["b"], PermissionError)
    assert found["a"] is None
    with pytest.raises(PermissionError):
        list(walk_files(str(tree)))


def test_a_tree_that_is_not_there_is_empty_and_an_error_for_who_wants_its_files(tmp_path: Path) -> None:
    assert list(walk_tree(str(tmp_path / "nowhere"))) == []
    with pytest.raises(FileNotFoundError):
        list(walk_files(str(tmp_path / "nowhere")))


def test_what_vanishes_meanwhile_is_left_out(tmp_path: Path) -> None:
    ended = threading.Event()

    def prune() -> None:
        while not ended.is_set():
            for number in range(30):
                (tmp_path / str(number) / "deep").mkdir(parents=True)
                (tmp_path / str(number) / "deep" / "file").touch()
            for number in range(30):
                shutil.rmtree(tmp_path / str(number))

    pruner = threading.Thread(target=prune)
    pruner.start()
    try:
        for _ in range(100):
            assert all(entry.failure is None for entry in walk_tree(str(tmp_path)))
    finally:
        ended.set()
        pruner.join()


def test_what_is_left_out_is_neither_given_nor_counted(tree: Path) -> None:
    left_out = {str(tree / "b/deep"), str(tree / "a")}
    names = {entry.relative for entry in walk_tree(str(tree), without=left_out)}
    assert names == {"", "b", "b/file", "z", "link", "pipe"}
