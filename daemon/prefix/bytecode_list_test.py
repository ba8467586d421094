"""Lists of bytecode, and the paths that they give it."""

import gzip
from pathlib import Path

import pytest

from daemon.errors import DamageError, NewerFormatError
from daemon.prefix.bytecode_list import (
    BytecodeFile,
    bytecode_list_path,
    bytecode_of,
    compiled_sources,
    format_bytecode_list,
    keep_bytecode_lists,
    read_bytecode_list,
)
from daemon.prefix.inventory import Inventory, InventoryFile
from daemon.prefix.prefix import Prefix
from daemon.prefix.staging import begin_staging

_WHEEL, _KEY = "a" * 64, "cpython-311-3.11.10"
_FILE = BytecodeFile("alpha/__pycache__/m.cpython-311.pyc", "b" * 64, "c" * 64, 5)


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    prefix = Prefix(tmp_path)
    prefix.make_directories()
    begin_staging(prefix)
    return prefix


def _inventory(*paths: str) -> Inventory:
    return Inventory(_WHEEL, tuple(InventoryFile(path, "0" * 64, 1, 0o644) for path in paths))


def test_bytecode_is_beside_its_source_in_a_folder_of_its_own() -> None:
    assert bytecode_of("alpha/m.py", "cpython-311") == "alpha/__pycache__/m.cpython-311.pyc"
    assert bytecode_of("m.py", "cpython-311") == "__pycache__/m.cpython-311.pyc"


def test_sources_are_compiled_whose_bytecode_the_wheel_does_not_bring() -> None:
    inventory = _inventory("a.py", "b.py", "__pycache__/b.cpython-311.pyc", "data.txt")
    found = [(path, file.path) for path, file in compiled_sources(inventory, "cpython-311")]
    assert found == [("__pycache__/a.cpython-311.pyc", "a.py")]


def test_a_list_is_read_as_it_was_kept_whatever_had_its_name(prefix: Prefix) -> None:
    final = bytecode_list_path(prefix, _WHEEL, _KEY)
    assert read_bytecode_list(prefix, _WHEEL, _KEY) is None
    (final / "deep").mkdir(parents=True)
    keep_bytecode_lists(prefix, [(_WHEEL, _KEY, format_bytecode_list([_FILE]))])
    assert read_bytecode_list(prefix, _WHEEL, _KEY) == [_FILE]
    keep_bytecode_lists(prefix, [])
    assert list(prefix.staging.iterdir()) == []


def test_a_list_that_is_malformed_or_newer_is_told(prefix: Prefix) -> None:
    final = bytecode_list_path(prefix, _WHEEL, _KEY)
    final.write_bytes(gzip.compress(b"monobase-bytecode 1\nnot four words\n"))
    with pytest.raises(DamageError, match="is damaged"):
        read_bytecode_list(prefix, _WHEEL, _KEY)
    final.write_bytes(gzip.compress(b"monobase-bytecode 2\n"))
    with pytest.raises(NewerFormatError):
        read_bytecode_list(prefix, _WHEEL, _KEY)
