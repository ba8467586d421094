"""The record that the daemon writes for probes."""

from pathlib import Path

import pytest

from daemon.prefix.known_record import read_record, record_path, write_record
from daemon.prefix.prefix import Prefix


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    prefix = Prefix(tmp_path)
    prefix.make_directories()
    return prefix


def test_what_was_written_is_read_and_is_written_once(prefix: Prefix) -> None:
    assert write_record(prefix, b"{}")
    inode = record_path(prefix).stat().st_ino
    assert not write_record(prefix, b"{}")
    assert record_path(prefix).stat().st_ino == inode
    assert read_record(prefix) == b"{}"


def test_a_folder_in_its_place_makes_room(prefix: Prefix) -> None:
    record_path(prefix).mkdir()
    with pytest.raises(IsADirectoryError):
        read_record(prefix)
    assert write_record(prefix, b"{}")


def test_no_record_is_told_from_one_that_cannot_be_read(prefix: Prefix) -> None:
    with pytest.raises(FileNotFoundError):
        read_record(prefix)
