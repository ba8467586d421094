"""The laws of `gens.sum`: read back as it was written, and any other text is refused by its line."""

import re
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gens.errors import SumsError
from gens.sums import format_sums, read_sums
from tests.laws.names import sha256s

_SUBJECTS = st.sampled_from(["cudnn", "environments", "python3.11.txt", "python3.11-torch2.4.1+x-cu121.txt"])
_SUMS = st.dictionaries(
    st.integers(0, 200_000),
    st.dictionaries(_SUBJECTS, sha256s().map("sha256:{}".format), min_size=1, max_size=3),
    max_size=4,
)


def _read(content: bytes) -> dict[int, dict[str, str]] | str:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "gens.sum"
        path.write_bytes(content)
        try:
            return {number: dict(seal) for number, seal in read_sums(path).items()}
        except SumsError as error:
            return str(error)


@given(_SUMS)
def test_what_is_written_is_read_back(sums: dict[int, dict[str, str]]) -> None:
    assert _read(format_sums(sums).encode()) == sums


@given(_SUMS, st.data())
def test_a_changed_text_never_reads_as_seals_that_it_does_not_spell(
    sums: dict[int, dict[str, str]], data: st.DataObject
) -> None:
    content = format_sums(sums).encode()
    first = data.draw(st.integers(0, len(content)))
    last = data.draw(st.integers(first, min(len(content), first + 90)))
    changed = content[:first] + data.draw(st.binary(max_size=3) | st.just(b"9" * 5_000)) + content[last:]
    read = _read(changed)
    if isinstance(read, str):
        assert re.search(r"gens\.sum:([1-9][0-9]*:)? .", read)
    else:
        lines = {line for line in format_sums(read).splitlines() if not line.startswith("#")}
        assert lines <= set(changed.decode().splitlines())


@pytest.mark.parametrize("name", ["g" + "9" * 5_000, "g000003"])
def test_a_generation_that_no_path_spells_so_is_refused_by_its_line(tmp_path: Path, name: str) -> None:
    path = tmp_path / "gens.sum"
    path.write_text(f"{name} cudnn sha256:{'a' * 64}\n")
    with pytest.raises(SumsError, match=r"gens\.sum:1: expected"):
        read_sums(path)
