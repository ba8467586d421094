"""The record of turns: what was written is read, and what cannot be read delays nobody."""

from pathlib import Path

import pytest

from daemon.prefix.prefix import Prefix
from daemon.prefix.turn_record import read_turns, write_turns


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    prefix = Prefix(tmp_path)
    prefix.make_directories()
    return prefix


def test_what_was_written_is_read(prefix: Prefix) -> None:
    assert read_turns(prefix) == {}
    write_turns(prefix, {"g00003 1f": 1_790_000_000, "g00002 aa": 1})
    assert read_turns(prefix) == {"g00003 1f": 1_790_000_000, "g00002 aa": 1}
    write_turns(prefix, {})
    assert read_turns(prefix) == {}


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b'{"turns": [1]}', b'{"turns": {"a": "b"}}', b"\xff", b'{"format": 2, "turns": {"a": 1}}'],
)
def test_a_record_that_cannot_be_read_is_as_none_and_is_written_again(prefix: Prefix, content: bytes) -> None:
    (prefix.generations / ".turns.json").write_bytes(content)
    assert read_turns(prefix) == {}
    write_turns(prefix, {"a": 1})
    assert read_turns(prefix) == {"a": 1}


def test_a_folder_in_place_of_the_record_is_replaced(prefix: Prefix) -> None:
    (prefix.generations / ".turns.json" / "x").mkdir(parents=True)
    assert read_turns(prefix) == {}
    write_turns(prefix, {"a": 1})
    assert read_turns(prefix) == {"a": 1}
