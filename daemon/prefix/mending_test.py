"""Repairs of single files, whatever is in their place."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.host.modes import FOLDER_MODE
from daemon.prefix.finding import Finding
from daemon.prefix.mending import (
    mend_tree,
    put_in_place,
    put_link,
    remove_anything,
    remove_extra,
    restore_folder,
)


def _file(path: Path) -> None:
    path.write_bytes(b"in the way")


def _link(path: Path) -> None:
    path.symlink_to("/etc")


def _folder(path: Path) -> None:
    path.mkdir()
    (path / "inside").write_bytes(b"in the way")


def _nothing(_: Path) -> None:
    pass


_IN_THE_WAY = [_file, _link, _folder, _nothing]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    tree.mkdir()
    return tree


@pytest.mark.parametrize("obstacle", _IN_THE_WAY)
def test_a_file_takes_its_place_whatever_is_there(
    tree: Path, tmp_path: Path, obstacle: Callable[[Path], None]
) -> None:
    restore_folder(tree, "lib")
    obstacle(tree / "lib" / "a.py")
    (tmp_path / "right").write_bytes(b"right")
    put_in_place(tmp_path / "right", tree, "lib/a.py")
    assert (tree / "lib" / "a.py").read_bytes() == b"right"
    assert not (tree / "lib" / "a.py").is_symlink()


@pytest.mark.parametrize("obstacle", [_file, _link, _nothing])
def test_a_folder_of_a_tree_is_a_folder_and_none_behind_a_link(
    tree: Path, obstacle: Callable[[Path], None]
) -> None:
    obstacle(tree / "lib")
    restore_folder(tree, "lib/python")
    assert (tree / "lib" / "python").resolve() == tree.resolve() / "lib" / "python"
    assert (tree / "lib").lstat().st_mode & 0o777 == FOLDER_MODE


def test_a_link_is_put_in_place_once(tree: Path, tmp_path: Path) -> None:
    (tree / "bin").write_bytes(b"in the way")
    assert put_link(tmp_path, tree, "bin/python", "../elsewhere")
    assert (tree / "bin" / "python").readlink() == Path("../elsewhere")
    inode = (tree / "bin" / "python").lstat().st_ino
    assert not put_link(tmp_path, tree, "bin/python", "../elsewhere")
    assert (tree / "bin" / "python").lstat().st_ino == inode
    assert put_link(tmp_path, tree, "bin/python", "another")


@pytest.mark.parametrize("obstacle", _IN_THE_WAY)
def test_whatever_has_a_name_is_removed(tree: Path, obstacle: Callable[[Path], None]) -> None:
    obstacle(tree / "thing")
    remove_anything(tree / "thing")
    assert not os.path.lexists(tree / "thing")
    assert Path("/etc").is_dir()


def test_what_is_extra_goes_with_the_folders_that_are_empty_without_it(tree: Path) -> None:
    (tree / "a" / "b" / "c").mkdir(parents=True)
    (tree / "a" / "kept").touch()
    (tree / "a" / "b" / "c" / "extra").touch()
    remove_extra(tree, "a/b/c/extra")
    assert [path.name for path in (tree / "a").iterdir()] == ["kept"]
    remove_extra(tree, "a/b/c/extra")  # it has gone already
    (tree / "folder" / "deep").mkdir(parents=True)
    remove_extra(tree, "folder")
    assert not (tree / "folder").exists()


def test_a_folder_gets_the_mode_of_all_folders(tree: Path) -> None:
    tree.chmod(0o777)
    restore_folder(tree, "")
    assert tree.stat().st_mode & 0o777 == FOLDER_MODE


def test_a_tree_becomes_what_was_made_beside_it(tree: Path, tmp_path: Path) -> None:
    made = tmp_path / "made"
    (made / "lib").mkdir(parents=True)
    (made / "lib" / "wrong.py").write_bytes(b"right")
    (made / "lib" / "missing.py").write_bytes(b"here")
    (made / "folder").mkdir()
    (tree / "lib").mkdir()
    (tree / "lib" / "wrong.py").write_bytes(b"wrong")
    (tree / "lib" / "extra.py").write_bytes(b"extra")
    (tree / "folder").write_bytes(b"a file")
    mend_tree(
        tree,
        made,
        [
            Finding("t", "lib/wrong.py", "changed"),
            Finding("t", "lib/missing.py", "missing"),
            Finding("t", "lib/extra.py", "extra"),
            Finding("t", "folder", "changed"),
            Finding("t", "lib/nowhere", "missing"),
        ],
    )
    assert {path.name: path.read_bytes() for path in (tree / "lib").iterdir()} == {
        "wrong.py": b"right",
        "missing.py": b"here",
    }
    assert (tree / "folder").is_dir()
