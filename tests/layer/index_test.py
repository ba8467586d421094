"""Wheels of a layer from an index, by hash."""

from dataclasses import replace
from pathlib import Path

import pytest

from layers.errors import LayerIndexError, LayerWheelError
from layers.install import LayerOptions, install_layer
from layers.uv import WheelSources
from tests.index.server import LocalIndex
from tests.index.wheel import WheelSpec
from tests.layer.sample_lock import sample_lock

pytest_plugins = ["tests.index.fixture"]

MINE = WheelSpec("mine", "1.0", files={"mine.py": b"V = 1\n"})
OTHER = WheelSpec("other", "1.0", files={"other.py": b"V = 1\n"})


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")


def from_index(index: LocalIndex, *folders: Path, offline: bool = False) -> LayerOptions:
    return LayerOptions(sources=WheelSources(folders, index.url(), offline))


def test_what_the_folders_lack_comes_from_the_index_and_then_from_uvs_cache(
    local_index: LocalIndex, tmp_path: Path
) -> None:
    lock = sample_lock(tmp_path / "all", MINE, OTHER)
    sample_lock(tmp_path / "some", OTHER)
    local_index.add(MINE)

    made = install_layer(lock, tmp_path / "venv", from_index(local_index, tmp_path / "some"))
    local_index.go_down()
    again = install_layer(lock, tmp_path / "again", from_index(local_index, tmp_path / "some", offline=True))

    assert (made.wheels, again.wheels) == (2, 2)
    for layer in (made.path, again.path):
        packages = layer / "lib" / "python3.11" / "site-packages"
        assert (packages / "mine.py").is_file()
        assert (packages / "other.py").is_file()


def test_an_index_with_another_wheel_ends_with_its_name_and_both_hashes(
    local_index: LocalIndex, tmp_path: Path
) -> None:
    lock = sample_lock(tmp_path / "wheels", MINE)
    served = local_index.add(replace(MINE, files={"mine.py": b"V = 'another'\n"}))

    with pytest.raises((LayerWheelError, LayerIndexError)) as raised:
        install_layer(lock, tmp_path / "venv", from_index(local_index))

    said = str(raised.value)
    assert isinstance(raised.value, LayerWheelError), said
    assert "mine" in said
    assert f"expected sha256:{lock.wheels[0].sha256}" in said
    assert served.sha256 in said
    assert not (tmp_path / "venv").exists()


def test_an_index_that_does_not_answer_is_named(local_index: LocalIndex, tmp_path: Path) -> None:
    lock = sample_lock(tmp_path / "wheels", MINE)
    options = from_index(local_index)
    local_index.stop()

    with pytest.raises(LayerIndexError, match="the wheels cannot be fetched"):
        install_layer(lock, tmp_path / "venv", options)

    assert not (tmp_path / "venv").exists()
