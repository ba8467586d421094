"""The folder of a generation: replaced as a whole, compared file by file."""

from pathlib import Path

import pytest

from gens.errors import LockError
from tools.locking.generation_tree import diff_locks, read_locks, replace_locks


def test_what_is_written_is_read(tmp_path: Path) -> None:
    replace_locks(tmp_path / "g00003", {"a.txt": "1\n", "b.txt": "2\n"})
    assert read_locks(tmp_path / "g00003") == {"a.txt": "1\n", "b.txt": "2\n"}


def test_no_folder_has_no_locks(tmp_path: Path) -> None:
    assert read_locks(tmp_path / "g00003") == {}


def test_replacing_leaves_no_old_file_and_nothing_beside(tmp_path: Path) -> None:
    replace_locks(tmp_path / "g00003", {"a.txt": "1\n", "b.txt": "2\n"})
    replace_locks(tmp_path / "g00003", {"b.txt": "3\n"})
    assert read_locks(tmp_path / "g00003") == {"b.txt": "3\n"}
    assert [path.name for path in tmp_path.iterdir()] == ["g00003"]


def test_a_replacement_that_was_interrupted_between_its_renames_is_undone(tmp_path: Path) -> None:
    replace_locks(tmp_path / "g00003", {"a.txt": "1\n"})
    (tmp_path / "g00003").rename(tmp_path / ".g00003.old")
    assert read_locks(tmp_path / "g00003") == {"a.txt": "1\n"}


def test_what_an_interrupted_replacement_left_is_no_obstacle(tmp_path: Path) -> None:
    for name in ("g00003", ".g00003.old", ".g00003.new"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text("0\n")
    replace_locks(tmp_path / "g00003", {"a.txt": "1\n"})
    assert read_locks(tmp_path / "g00003") == {"a.txt": "1\n"}
    assert [path.name for path in tmp_path.iterdir()] == ["g00003"]


def test_a_failure_to_write_leaves_the_old_locks(tmp_path: Path) -> None:
    replace_locks(tmp_path / "g00003", {"a.txt": "1\n"})
    with pytest.raises(LockError, match="g00003: cannot be written: "):
        replace_locks(tmp_path / "g00003", {"a.txt": "2\n", "no/such/folder.txt": "3\n"})
    assert read_locks(tmp_path / "g00003") == {"a.txt": "1\n"}
    assert [path.name for path in tmp_path.iterdir()] == ["g00003"]


def test_a_diff_names_each_file_and_shows_only_what_changes() -> None:
    before = {"a.txt": "1\n2\n3\n", "gone.txt": "x\n", "same.txt": "s\n"}
    after = {"a.txt": "1\n9\n3\n", "new.txt": "y\n", "same.txt": "s\n"}
    assert "".join(diff_locks("g00003", before, after)) == (
        "--- a/gens/g00003/a.txt\n+++ b/gens/g00003/a.txt\n@@ -2 +2 @@\n-2\n+9\n"
        "--- a/gens/g00003/gone.txt\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"
        "--- /dev/null\n+++ b/gens/g00003/new.txt\n@@ -0,0 +1 @@\n+y\n"
    )
