"""Files and links that change in one step, or not at all."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.host.durability import (
    DAEMON_SUFFIX,
    WRITER_SUFFIX,
    begin_to_write,
    is_temporary_name,
    remove_temporary_files,
    sync_directory,
    sync_filesystem,
    write_file,
    write_if_changed,
    write_new_file,
    write_symlink,
)


def test_a_file_is_replaced_by_a_new_inode_for_all_to_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    os.link(path, tmp_path / "elsewhere")
    umask = os.umask(0o077)
    try:
        write_file(path, b"new")
    finally:
        os.umask(umask)
    assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", 0o644)
    assert (tmp_path / "elsewhere").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize(
    "write", [lambda path: write_file(path, b"new"), lambda path: write_symlink(path, "x")]
)
def test_what_cannot_take_its_name_leaves_what_was_there_and_nothing_else(
    tmp_path: Path, write: Callable[[Path], None]
) -> None:
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    with pytest.raises(IsADirectoryError):
        write(tmp_path / "folder")
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_file_of_this_content_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert write_if_changed(path, b"one")
    inode = path.stat().st_ino
    assert not write_if_changed(path, b"one")
    assert path.stat().st_ino == inode
    assert write_if_changed(path, b"two")
    path.unlink()
    os.mkfifo(path)
    assert write_if_changed(path, b"two")
    assert path.is_file()


def test_a_new_file_has_a_new_name(tmp_path: Path) -> None:
    write_new_file(tmp_path / "file", b"one")
    with pytest.raises(FileExistsError):
        write_new_file(tmp_path / "file", b"two")
    assert (tmp_path / "file").read_bytes() == b"one"


def test_a_link_is_moved_in_one_step(tmp_path: Path) -> None:
    write_symlink(tmp_path / "latest", "g00000")
    write_symlink(tmp_path / "latest", "g00001")
    assert (tmp_path / "latest").readlink() == Path("g00001")
    assert len(list(tmp_path.iterdir())) == 1


def test_each_writer_removes_only_its_own_temporary_files(tmp_path: Path) -> None:
    mine, theirs = tmp_path / f".file.0123{WRITER_SUFFIX}", tmp_path / f".file.0123{DAEMON_SUFFIX}"
    other = tmp_path / f".other.0123{DAEMON_SUFFIX}"
    for path in (mine, theirs, other, tmp_path / "file"):
        path.touch()
    assert [is_temporary_name(path.name) for path in (mine, theirs, tmp_path / "file")] == [True, True, False]
    remove_temporary_files(tmp_path, WRITER_SUFFIX)
    remove_temporary_files(tmp_path, DAEMON_SUFFIX, "file")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["file", other.name])
    remove_temporary_files(tmp_path / "nowhere", WRITER_SUFFIX)


def test_only_a_folder_is_synced(tmp_path: Path) -> None:
    sync_directory(tmp_path)
    sync_filesystem(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError):
        sync_filesystem(tmp_path / "file")


def test_a_disk_that_cannot_be_synced_is_an_error_with_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken:
        def syncfs(self, _: int) -> int:
            return -1

    monkeypatch.setattr("daemon.host.durability._LIBC", Broken())
    monkeypatch.setattr("ctypes.get_errno", lambda: 5)
    with pytest.raises(OSError, match="Input/output error"):
        sync_filesystem(tmp_path)


def test_a_file_whose_writing_has_begun_stays_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    begin_to_write(path)
    assert path.read_bytes() == b"content"


def test_a_link_is_not_followed_to_what_it_names(tmp_path: Path) -> None:
    path = tmp_path / "link"
    path.symlink_to("file")
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="symbolic links"):
        begin_to_write(path)
