"""Regular files, and what is none."""

import os
from pathlib import Path

import pytest

from tools.mirror.regular_file import NotRegularError, read_regular


def test_a_file_is_read_and_nothing_else_is_opened(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    assert read_regular(tmp_path / "file") == read_regular(tmp_path / "link") == b"x"
    for name in ("folder", "fifo"):
        with pytest.raises(NotRegularError, match="is not a regular file"):
            read_regular(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        read_regular(tmp_path / "none")
