"""A folder as a source."""

import json
import os
from pathlib import Path

import pytest

from daemon.source.body import Blob
from daemon.source.failure import SourceFailure
from daemon.source.folder import FolderSource

_BLOB = Blob("0" * 64, 5, "a.whl", "files/00/a.whl")


@pytest.fixture
def source(tmp_path: Path) -> FolderSource:
    (tmp_path / "files/00").mkdir(parents=True)
    return FolderSource(f"file://{tmp_path}", tmp_path)


def _reason(source: FolderSource) -> tuple[str, str]:
    with pytest.raises(SourceFailure) as caught:
        source.open(_BLOB, 0)
    return caught.value.reason, caught.value.text


def test_a_file_is_read_from_an_offset_on(source: FolderSource, tmp_path: Path) -> None:
    (tmp_path / _BLOB.path).write_bytes(b"12345")
    with source.open(_BLOB, 2) as body:
        assert (body.read_some(), body.read_some()) == (b"345", b"")


def test_a_file_that_is_not_there_is_absent(source: FolderSource) -> None:
    assert _reason(source)[0] == "absent"


def test_a_folder_that_is_not_there_is_unreachable_and_says_what_to_do(tmp_path: Path) -> None:
    reason, text = _reason(FolderSource("x", tmp_path / "unmounted"))
    assert (reason, text) == ("unreachable", "is not a folder; mount it, or correct --source")


def test_a_file_of_another_size_is_wrong_before_a_byte_is_read(source: FolderSource, tmp_path: Path) -> None:
    (tmp_path / _BLOB.path).write_bytes(b"1234")
    assert _reason(source) == ("wrong", "files/00/a.whl has 4 bytes instead of 5; mirror it again")


def test_a_pipe_is_not_waited_for(source: FolderSource, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / _BLOB.path)
    assert _reason(source)[0] == "wrong"


def test_an_interpreter_is_found_by_the_list_of_the_tree(source: FolderSource, tmp_path: Path) -> None:
    (tmp_path / "interpreters").mkdir()
    entry = {"path": "20251014/p.tar.gz", "sha256": "1" * 64, "size": 7}
    listed = json.dumps({"cpython-3.12.12-linux-x86_64-gnu": entry})
    (tmp_path / "interpreters/index.json").write_text(listed)
    blob = source.find_interpreter("20251014/p.tar.gz")
    assert blob == Blob("1" * 64, 7, "p.tar.gz", "interpreters/20251014/p.tar.gz")
    with pytest.raises(SourceFailure, match="does not list"):
        source.find_interpreter("20251014/q.tar.gz")


def test_a_malformed_list_of_interpreters_is_a_failure(source: FolderSource, tmp_path: Path) -> None:
    (tmp_path / "interpreters").mkdir()
    (tmp_path / "interpreters/index.json").write_text("[")
    with pytest.raises(SourceFailure, match=r"index\.json"):
        source.find_interpreter("a/b.tar.gz")
