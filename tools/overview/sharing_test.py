"""The bytes of locks, and what targets share."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from gens.catalog import Catalog, load_catalog
from gens.errors import LockError
from tests.index.wheel import Wheel, WheelSpec
from tests.synthetic.catalog import PYTHON, Cell, environment_cell, toolkit_cell, write_catalog
from tools.overview.sharing import read_bytes


def _wheel(name: str, size_bytes: int) -> Wheel:
    digest = name.encode().hex().ljust(64, "0")
    return Wheel(WheelSpec(name, "1"), Path(f"{name}-1-py3-none-any.whl"), size_bytes, digest, b"")


_BASE, _TORCH, _OTHER, _CUDA = (
    _wheel("base", 1000), _wheel("torch", 500), _wheel("other", 50), _wheel("cuda", 7),
)  # fmt: skip
_ONE = (
    environment_cell([_BASE]),
    environment_cell([_BASE, _TORCH], "2.4.1"),
    toolkit_cell([_CUDA], "12.4.1"),
)
_TWO = (environment_cell([_BASE]), environment_cell([_BASE, _OTHER], "2.5.1"))


def _catalog(folder: Path, generations: Mapping[int, Sequence[Cell]]) -> Catalog:
    return load_catalog(write_catalog(folder, generations), folder)


def test_a_target_adds_what_no_other_has(tmp_path: Path) -> None:
    catalog = _catalog(tmp_path, {1: _ONE})
    (found,) = read_bytes(catalog, catalog.generations)
    sizes = {item.target.name: (item.wheel_bytes, item.added_bytes) for item in found.platforms[0].targets}
    torch = f"python{PYTHON}-torch2.4.1-cpu"
    assert sizes == {f"python{PYTHON}": (1000, 0), torch: (1500, 500), "cuda12.4": (7, 7)}


def test_a_wheel_of_several_locks_is_downloaded_once(tmp_path: Path) -> None:
    catalog = _catalog(tmp_path, {1: _ONE})
    (found,) = read_bytes(catalog, catalog.generations)
    (platform,) = found.platforms
    assert (platform.wheels, platform.wheel_bytes, platform.locked_bytes) == (3, 1507, 2507)
    assert platform.shared_percent == 40
    assert (found.locks, found.wheels, found.wheel_bytes, found.locked_bytes) == (3, 3, 1507, 2507)


def test_new_is_what_no_older_generation_has(tmp_path: Path) -> None:
    catalog = _catalog(tmp_path, {1: _ONE, 2: _TWO})
    older, newer = read_bytes(catalog, catalog.generations)
    assert older.platforms[0].new_bytes == older.platforms[0].wheel_bytes == 1507
    assert newer.platforms[0].new_bytes == 50


def test_a_missing_lock_is_an_error_that_names_it(tmp_path: Path) -> None:
    catalog = _catalog(tmp_path, {1: _ONE})
    (generation,) = catalog.generations
    catalog.lock_path(generation, generation.toolkits[0]).unlink()
    with pytest.raises(LockError, match=r"no lock for cuda12\.4"):
        read_bytes(catalog, [generation])
