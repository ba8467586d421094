"""The laws of inventories: any name that a file can have is read back, or refused when it is written."""

import stat
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daemon.errors import WheelContentError
from daemon.prefix.inventory import (
    Inventory,
    InventoryFile,
    inventory_path,
    read_inventory,
    take_inventory,
    write_inventory,
)
from daemon.prefix.prefix import Prefix
from gens.lock import LockedWheel
from tests.laws.files import inventory_files
from tests.laws.names import file_names, paths

_WHEEL = LockedWheel("alpha", "1.0", "a" * 64, "alpha-1.0-py3-none-any.whl", 10)


def _written_and_read(inventory: Inventory) -> Inventory | None:
    with tempfile.TemporaryDirectory() as directory:
        prefix = Prefix(Path(directory))
        prefix.make_directories()
        write_inventory(inventory, inventory_path(prefix, inventory.wheel_sha256))
        return read_inventory(prefix, inventory.wheel_sha256)


@given(st.lists(inventory_files(paths(without="\n")), max_size=5, unique_by=lambda file: file.path))
def test_what_is_written_is_read_back(files: list[InventoryFile]) -> None:
    inventory = Inventory("a" * 64, tuple(sorted(files, key=lambda file: file.path)))
    assert _written_and_read(inventory) == inventory


@given(paths(without="\n"), paths())
@example("a", "b\n")
def test_a_path_that_a_line_cannot_carry_is_refused_when_it_is_written(before: str, after: str) -> None:
    path = f"{before}\n{after}"
    with pytest.raises(ValueError, match="line break"):
        _written_and_read(Inventory("a" * 64, (InventoryFile(path, "b" * 64, 1, 0o644),)))


@given(st.lists(file_names(), max_size=4, unique=True), st.booleans())
def test_the_inventory_of_a_folder_is_what_is_there_or_is_refused(names: list[str], executable: bool) -> None:
    with tempfile.TemporaryDirectory() as directory:
        archive = Path(directory)
        for name in names:
            (archive / name).write_text(ascii(name))
            (archive / name).chmod(0o755 if executable else 0o644)
        if any("\n" in name for name in names):
            with pytest.raises(WheelContentError, match=r"alpha-1\.0-py3-none-any\.whl"):
                take_inventory(archive, _WHEEL)
            return
        inventory = take_inventory(archive, _WHEEL)
        assert [file.path for file in inventory.files] == sorted(names)
        for file in inventory.files:
            status = (archive / file.path).stat()
            assert (file.size_bytes, file.mode) == (status.st_size, stat.S_IMODE(status.st_mode))
        assert _written_and_read(inventory) == inventory
