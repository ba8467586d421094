"""Reading a small file ends, whatever has its name."""

import os
from pathlib import Path

import pytest

from daemon.host.plain_file import read_plain_file


def test_a_file_is_read_whole_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"all of it")
    (tmp_path / "link").symlink_to("file")
    assert read_plain_file(tmp_path / "link") == b"all of it"


def test_what_is_not_a_file_is_an_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="is not a regular file"):
        read_plain_file(tmp_path / "pipe")
    with pytest.raises(IsADirectoryError):
        read_plain_file(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_plain_file(tmp_path / "nowhere")


def test_a_file_that_is_too_large_is_an_error_with_its_size(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(11))
    with pytest.raises(OSError, match="has 11 bytes, which it cannot have"):
        read_plain_file(tmp_path / "file", max_bytes=10)
