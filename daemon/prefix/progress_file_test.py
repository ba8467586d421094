"""The file with the progress of an install."""

import stat
from pathlib import Path

import pytest

from daemon.prefix.prefix import Prefix
from daemon.prefix.progress_file import ProgressLine, read_progress, remove_progress, write_progress
from daemon.prefix.staging import remove_leftovers

_LINES = [ProgressLine("g00001", "a", "fetch", 10, 30), ProgressLine("g00000", "b", "queued")]


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    prefix = Prefix(tmp_path)
    prefix.make_directories()
    return prefix


def test_what_was_written_is_read_and_is_for_all_to_read(prefix: Prefix) -> None:
    write_progress(prefix, _LINES)
    path = prefix.generations / ".progress"
    assert path.read_text() == "monobase-progress 1\ng00001 a fetch 10 30\ng00000 b queued 0 0\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert read_progress(prefix) == _LINES
    assert [entry.name for entry in prefix.generations.iterdir()] == [".progress"]


def test_a_reader_keeps_the_whole_of_what_it_opened(prefix: Prefix) -> None:
    write_progress(prefix, _LINES)
    with (prefix.generations / ".progress").open() as file:
        write_progress(prefix, [])
        assert len(file.read().splitlines()) == 3
    assert read_progress(prefix) == []


@pytest.mark.parametrize(
    "text", ["", "monobase-progress 2\ng00001 a fetch 1 2\n", "monobase-progress 1\nwhat\n"]
)
def test_what_is_not_such_a_file_has_no_lines(prefix: Prefix, text: str) -> None:
    (prefix.generations / ".progress").write_text(text)
    assert read_progress(prefix) == []


def test_a_folder_in_its_place_makes_room(prefix: Prefix) -> None:
    (prefix.generations / ".progress").mkdir()
    write_progress(prefix, _LINES)
    assert read_progress(prefix) == _LINES
    remove_progress(prefix)
    remove_progress(prefix)
    assert read_progress(prefix) == []


def test_the_next_writer_removes_what_a_killed_one_left(prefix: Prefix) -> None:
    write_progress(prefix, _LINES)
    remove_leftovers(prefix, lambda _: None)
    assert list(prefix.generations.iterdir()) == []
