import json
from pathlib import Path

import pytest

from daemon.errors import DamageError, NewerFormatError
from daemon.prefix.mark import Mark, read_mark, write_mark

_DIGEST = "0123456789abcdef" * 4
_MARK = Mark(
    generation=3, definition=f"sha256:{_DIGEST}", environments=_DIGEST, manifests={"python3.11": _DIGEST}
)


def test_a_mark_is_read_back_as_it_was_written_and_names_its_format(tmp_path: Path) -> None:
    write_mark(tmp_path / ".done", _MARK)
    assert read_mark(tmp_path / ".done") == _MARK
    assert json.loads((tmp_path / ".done").read_bytes())["format"] == 1


def test_there_is_no_mark_where_there_is_no_file(tmp_path: Path) -> None:
    assert read_mark(tmp_path / ".done") is None
    assert read_mark(tmp_path / "no" / "folder" / ".done") is None


def test_a_mark_of_an_earlier_release_has_no_format(tmp_path: Path) -> None:
    write_mark(tmp_path / ".done", _MARK)
    found = json.loads((tmp_path / ".done").read_bytes())
    del found["format"]
    (tmp_path / ".done").write_text(json.dumps(found))
    assert read_mark(tmp_path / ".done") == _MARK


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "[]", "null", "7", '"text"', "{}", '{"manifests": []}', "\udcff",
        '{"generation": 3, "definition": "x", "environments": "y", "manifests": {}}',
        '{"generation": "3", "definition": "x", "environments": "' + _DIGEST + '", "manifests": {}}',
        '{"generation": 3, "definition": "x", "environments": "' + _DIGEST + '", "manifests": []}',
        '{"generation": 3, "definition": "x", "environments": "' + _DIGEST + '", "manifests": {"a": 7}}',
        '{"format": "1", "generation": 3}',
    ],
)  # fmt: skip
def test_a_mark_that_is_none_is_damage_with_its_path(tmp_path: Path, text: str) -> None:
    (tmp_path / ".done").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DamageError, match=r"/\.done: is damaged: .*; `verify --repair`"):
        read_mark(tmp_path / ".done")


def test_a_folder_in_place_of_a_mark_is_damage(tmp_path: Path) -> None:
    (tmp_path / ".done").mkdir()
    with pytest.raises(DamageError, match="cannot be read: Is a directory"):
        read_mark(tmp_path / ".done")


def test_a_mark_of_a_newer_monobase_is_no_damage_whatever_is_in_it(tmp_path: Path) -> None:
    (tmp_path / ".done").write_text('{"format": 2, "manifests": "elsewhere"}')
    with pytest.raises(NewerFormatError, match="format 2, and this one reads up to format 1"):
        read_mark(tmp_path / ".done")
