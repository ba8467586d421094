import json
from dataclasses import replace
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


def test_the_mark_of_a_part_names_its_selection_and_no_earlier_release_reads_it(tmp_path: Path) -> None:
    part = replace(_MARK, format=2, selection="--pool h100")
    write_mark(tmp_path / ".done", part)
    assert read_mark(tmp_path / ".done") == part
    assert json.loads((tmp_path / ".done").read_bytes())["format"] == 2
    write_mark(tmp_path / ".done", _MARK)
    assert "selection" not in json.loads((tmp_path / ".done").read_bytes())


def test_a_part_has_what_it_lists_and_a_whole_generation_everything() -> None:
    part = replace(_MARK, format=2, selection="--pool h100")
    assert part.covers(["python3.11"])
    assert part.covers([])
    assert not part.covers(["python3.11", "cuda12.4"])
    assert not part.covers(None)
    assert _MARK.covers(None)
    assert _MARK.covers(["cuda12.4"])


def test_a_mark_is_settled_when_its_list_is_written_for_the_selection() -> None:
    part = replace(_MARK, format=2, selection="--pool h100")
    assert part.is_settled("--pool h100")
    assert not part.is_settled("--pool cpu")
    assert not replace(part, environments="").is_settled("--pool h100")
    assert _MARK.is_settled("--pool h100")


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
        '{"generation": 3, "definition": "x", "environments": "", "manifests": {}}',
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
    (tmp_path / ".done").write_text('{"format": 3, "manifests": "elsewhere"}')
    with pytest.raises(NewerFormatError, match="format 3, and this one reads up to format 2"):
        read_mark(tmp_path / ".done")
