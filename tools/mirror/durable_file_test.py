"""Files that are whole or absent, and have one writer."""

import os
import threading
from pathlib import Path

import pytest

from tools.mirror.durable_file import locked_file, write_if_changed
from tools.mirror.errors import DiskError


def test_a_file_is_written_once_and_readable_for_all(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b.html"
    assert write_if_changed(path, b"x")
    assert not write_if_changed(path, b"x")
    assert write_if_changed(path, b"y")
    assert path.read_bytes() == b"y"
    assert path.stat().st_mode & 0o777 == 0o644
    assert [one.name for one in path.parent.iterdir()] == ["b.html"]


def test_folders_can_be_read_by_a_web_server_whatever_the_umask_is(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        write_if_changed(tmp_path / "a" / "b" / "c", b"x")
    finally:
        os.umask(before)
    assert [(tmp_path / name).stat().st_mode & 0o777 for name in ("a", "a/b", "a/b/c")] == [
        0o755,
        0o755,
        0o644,
    ]


def test_a_file_in_the_place_of_a_folder_is_one_message(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    with pytest.raises(DiskError, match="a: "):
        write_if_changed(tmp_path / "a" / "b", b"x")


def test_a_second_writer_waits_and_gets_the_file_that_is_there_then(tmp_path: Path) -> None:
    path = tmp_path / "part"
    waits, done = threading.Event(), threading.Event()

    def second() -> None:
        with locked_file(path, waits.set) as file:
            file.write(b"second")
        done.set()

    with locked_file(path, lambda: None) as file:
        file.write(b"first")
        file.flush()
        thread = threading.Thread(target=second, daemon=True)
        thread.start()
        assert waits.wait(60)
        path.rename(tmp_path / "final")
    assert done.wait(60)
    assert (tmp_path / "final").read_bytes() == b"first"
    assert path.read_bytes() == b"second"
