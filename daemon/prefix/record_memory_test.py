"""A check reads a record once, and again when its file is another one."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from daemon.errors import DamageError
from daemon.prefix.inventory import InventoryFile
from daemon.prefix.record_memory import Files, RecordMemory

_DIGEST = "ab" * 32


class _Reader:
    """Reads a record whose lines are paths, and counts how often."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0

    def __call__(self) -> Files:
        self.count += 1
        names = self.path.read_text().split()
        return {name: InventoryFile(name, _DIGEST, 1, 0o644) for name in names}


@pytest.fixture
def record(tmp_path: Path) -> Path:
    path = tmp_path / "record"
    path.write_text("a b")
    return path


def _files(memory: RecordMemory, path: Path, read: Callable[[], Files], directory: str = "lib") -> list[str]:
    return list(memory.files(path, _DIGEST, directory, read))


def test_a_record_that_did_not_change_is_read_once(record: Path) -> None:
    memory, reader = RecordMemory(), _Reader(record)
    assert [_files(memory, record, reader) for _ in range(3)] == [["a", "b"]] * 3
    assert reader.count == 1


def test_another_file_of_the_same_name_is_read_though_size_and_time_are_the_same(record: Path) -> None:
    memory, reader = RecordMemory(), _Reader(record)
    _files(memory, record, reader)
    status = record.stat()
    other = record.with_name("other")
    other.write_text("c d")
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.rename(record)
    assert _files(memory, record, reader) == ["c", "d"]


def test_a_record_that_was_written_to_is_read_again(record: Path) -> None:
    memory, reader = RecordMemory(), _Reader(record)
    _files(memory, record, reader)
    record.write_text("a b c")
    assert _files(memory, record, reader) == ["a", "b", "c"]


def test_another_digest_or_folder_is_another_record(record: Path) -> None:
    memory, reader = RecordMemory(), _Reader(record)
    _files(memory, record, reader)
    _files(memory, record, reader, "lib64")
    memory.files(record, "cd" * 32, "lib", reader)
    assert reader.count == 3


def test_a_record_that_changes_while_it_is_read_is_not_remembered(record: Path) -> None:
    memory, reader = RecordMemory(), _Reader(record)

    def read_and_change() -> Files:
        files = reader()
        record.write_text("a b c")
        return files

    _files(memory, record, read_and_change)
    assert _files(memory, record, reader) == ["a", "b", "c"]


def test_damage_is_reported_each_time(record: Path) -> None:
    memory = RecordMemory()

    def read() -> Files:
        raise DamageError("damaged")

    for _ in range(2):
        with pytest.raises(DamageError):
            _files(memory, record, read)


def test_a_record_that_is_gone_is_read_each_time(tmp_path: Path) -> None:
    memory = RecordMemory()
    reads = []

    def read() -> Files:
        reads.append(1)
        return {}

    for _ in range(2):
        assert _files(memory, tmp_path / "gone", read) == []
    assert len(reads) == 2


def test_what_was_not_used_for_longest_is_forgotten(tmp_path: Path) -> None:
    readers = []
    for name in "abc":
        path = tmp_path / name
        path.write_text("1 2")
        readers.append(_Reader(path))
    memory = RecordMemory(max_files=4)
    for reader in (*readers[:2], readers[0], readers[2], *readers):
        _files(memory, reader.path, reader)
    assert [reader.count for reader in readers] == [1, 2, 2]
