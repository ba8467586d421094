"""The laws of bytecode lists: any path is read back, or refused when it is written."""

import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.prefix.bytecode_list import (
    BytecodeFile,
    bytecode_list_path,
    format_bytecode_list,
    read_bytecode_list,
)
from daemon.prefix.prefix import Prefix
from tests.laws.names import paths, sha256s

_KEY = "cpython-311-3.11.7"
_FILES = st.builds(BytecodeFile, paths(without="\n"), sha256s(), sha256s(), st.integers(0, 2**50))


def _written_and_read(files: list[BytecodeFile]) -> list[BytecodeFile] | None:
    with tempfile.TemporaryDirectory() as directory:
        prefix = Prefix(Path(directory))
        prefix.make_directories()
        bytecode_list_path(prefix, "a" * 64, _KEY).write_bytes(format_bytecode_list(files))
        return read_bytecode_list(prefix, "a" * 64, _KEY)


@given(st.lists(_FILES, max_size=5, unique_by=lambda file: file.path))
def test_what_is_written_is_read_back_and_the_order_given_does_not_matter(files: list[BytecodeFile]) -> None:
    assert _written_and_read(files) == sorted(files, key=lambda file: file.path)
    assert format_bytecode_list(files) == format_bytecode_list(files[::-1])


@given(paths(without="\n"))
def test_a_path_that_a_line_cannot_carry_is_refused_when_it_is_written(path: str) -> None:
    for broken in (f"{path}\n", f"\n{path}", f"{path}\n{'a' * 64} {'b' * 64} 1 {path}"):
        with pytest.raises(ValueError, match="line break"):
            format_bytecode_list([BytecodeFile(broken, "a" * 64, "b" * 64, 1)])
