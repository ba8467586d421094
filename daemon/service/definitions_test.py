"""The definitions in force while those in the folder change."""

from pathlib import Path

import pytest

from daemon.service.definitions import Definitions
from gens.catalog import Catalog, load_catalog
from gens.errors import DefinitionError
from tests.synthetic.catalog import environment_cell, write_catalog


@pytest.fixture
def gens(tmp_path: Path) -> Path:
    return write_catalog(tmp_path / "gens", {number: [environment_cell([])] for number in range(3)})


def _definitions(gens: Path, least: int | None = None) -> Definitions:
    def load() -> Catalog:
        return load_catalog(gens, keep_broken=True)

    return Definitions(load, least, None)


def _ids(definitions: Definitions) -> list[int]:
    return [generation.id for generation in definitions.catalog.generations]


def test_a_new_generation_is_in_force_after_the_next_reading(gens: Path) -> None:
    definitions = _definitions(gens)
    write_catalog(gens, {7: [environment_cell([])]})
    assert _ids(definitions) == [0, 1, 2]
    definitions.read()
    assert _ids(definitions) == [0, 1, 2, 7]


def test_a_generation_that_cannot_be_read_any_more_stays_in_force_and_is_named(gens: Path) -> None:
    definitions = _definitions(gens)
    (gens / "g00001.json").write_text("{")
    definitions.read()
    assert _ids(definitions) == [0, 1, 2]
    assert list(definitions.broken) == ["g00001"]
    assert "g00001.json" in str(definitions.broken["g00001"])


def test_a_generation_that_was_never_read_is_named_alone(gens: Path) -> None:
    (gens / "g00001.json").write_text("{")
    definitions = _definitions(gens)
    assert _ids(definitions) == [0, 2]
    assert list(definitions.broken) == ["g00001"]


def test_what_is_broken_outside_the_range_concerns_nobody(gens: Path) -> None:
    (gens / "g00000.json").write_text("{")
    assert _definitions(gens, least=1).broken == {}


def test_a_folder_without_any_generation_of_the_range_leaves_the_last_ones_in_force(gens: Path) -> None:
    definitions = _definitions(gens)
    for path in gens.glob("*.json"):
        path.unlink()
    with pytest.raises(DefinitionError):
        definitions.read()
    assert _ids(definitions) == [0, 1, 2]


def test_a_start_without_a_generation_is_refused(gens: Path) -> None:
    with pytest.raises(DefinitionError):
        _definitions(gens, least=9)
