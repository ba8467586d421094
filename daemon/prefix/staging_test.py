"""The staging folder, and what a writer that was killed left in it and elsewhere."""

import os
from pathlib import Path

import pytest

from daemon.host.modes import FOLDER_MODE
from daemon.prefix.prefix import Prefix
from daemon.prefix.staging import (
    begin_staging,
    discard,
    end_staging,
    make_link,
    open_folders,
    private_folder,
    remove_empty_folders,
    remove_folders,
    remove_leftovers,
    set_file,
    set_link,
    temporary_path,
)


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    prefix = Prefix(tmp_path / "prefix")
    prefix.make_directories()
    return prefix


def test_the_staging_folder_begins_empty_and_ends(prefix: Prefix) -> None:
    begin_staging(prefix)
    (prefix.staging / "half").touch()
    with pytest.raises(FileExistsError):
        begin_staging(prefix)
    end_staging(prefix)
    assert not prefix.staging.exists()
    with pytest.raises(FileNotFoundError):
        end_staging(prefix)
    end_staging(prefix, ignore_errors=True)


def test_what_a_killed_writer_left_goes_and_what_the_daemon_writes_stays(prefix: Prefix) -> None:
    prefix.generation("g00000").mkdir()
    left = [
        prefix.staging / "g00000.python3.11",
        prefix.uv_python_staging / "cpython-3.11.10",
        prefix.generation("g00000") / ".environments.1234.tmp",
        prefix.generations / ".latest.1234.tmp",
        prefix.wheels / ".link.1234.tmp",
    ]
    kept = [prefix.generations / "..known.json.1234.daemon-tmp", prefix.generation("g00000") / "environments"]
    for path in (*left, *kept):
        path.parent.mkdir(exist_ok=True)
        path.touch()
    said: list[str] = []
    remove_leftovers(prefix, said.append)
    assert [path for path in left if path.exists()] == []
    assert all(path.exists() for path in kept)
    assert said == ["removing what an earlier install, which did not end, left in staging"]
    remove_leftovers(prefix, said.append)
    assert len(said) == 1


def test_a_file_in_place_of_the_staging_folder_goes_too(prefix: Prefix) -> None:
    prefix.staging.write_bytes(b"")
    remove_leftovers(prefix, lambda _: None)
    begin_staging(prefix)


def test_no_model_can_open_a_private_folder_and_it_goes_at_the_end(prefix: Prefix) -> None:
    begin_staging(prefix)
    with private_folder(prefix) as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "lock").touch()
    assert not folder.exists()
    discard(folder)  # it has gone already


def test_two_temporary_paths_differ(prefix: Prefix) -> None:
    assert temporary_path(prefix.staging) != temporary_path(prefix.staging)


def test_a_file_of_a_staged_tree_gets_another_inode_and_mode(tmp_path: Path) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    path.write_bytes(b"old")
    os.link(path, other)
    set_file(path, b"new", 0o755)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o755)
    assert other.read_bytes() == b"old"
    set_link(path, "b")
    assert path.read_bytes() == b"old"


def test_a_link_is_made_with_its_folders_where_nothing_is(tmp_path: Path) -> None:
    make_link(tmp_path / "targets" / "lib", "../lib64")
    assert (tmp_path / "targets" / "lib").readlink() == Path("../lib64")
    with pytest.raises(FileExistsError):
        make_link(tmp_path / "targets" / "lib", "elsewhere")
    (tmp_path / "file").touch()
    with pytest.raises(FileExistsError):
        make_link(tmp_path / "file" / "lib", "elsewhere")
    with pytest.raises(NotADirectoryError):
        make_link(tmp_path / "file" / "deep" / "lib", "elsewhere")


def test_folders_without_files_go_and_links_count_as_files(tmp_path: Path) -> None:
    for name in ("empty/deep", "full/deep", "linked"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "full" / "deep" / "file").touch()
    (tmp_path / "linked" / "link").symlink_to("nowhere")
    remove_empty_folders(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["full", "linked"]


def test_folders_of_a_name_go_wherever_they_are(tmp_path: Path) -> None:
    for name in ("a/__pycache__/__pycache__", "__pycache__", "a/kept"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").touch()
    remove_folders(tmp_path, "__pycache__")
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["a", "file", "kept"]


def test_all_folders_get_their_mode_and_files_keep_theirs(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True, mode=0o700)
    (tmp_path / "a" / "b" / "file").touch(mode=0o600)
    (tmp_path / "a" / "b").chmod(0o700)
    open_folders(tmp_path / "a")
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == FOLDER_MODE
    assert (tmp_path / "a" / "b" / "file").stat().st_mode & 0o777 == 0o600
