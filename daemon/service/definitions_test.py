"""The definitions in force while those in the folder change."""

import json
from pathlib import Path

import pytest

from daemon.service.definitions import Definitions
from gens.catalog import Catalog, load_catalog
from gens.errors import DefinitionError
from gens.selection import EVERYTHING, Selection
from tests.synthetic.catalog import PYTHON, environment_cell, write_catalog

_ONE = [f"python{PYTHON}"]


@pytest.fixture
def gens(tmp_path: Path) -> Path:
    return write_catalog(tmp_path / "gens", {number: [environment_cell([])] for number in range(3)})


def _definitions(gens: Path, least: int | None = None, selection: Selection = EVERYTHING) -> Definitions:
    def load() -> Catalog:
        return load_catalog(gens, keep_broken=True)

    return Definitions(load, least, None, selection)


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


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", '{"other": ["*"]}', '{"small": []}', '{"small": ["nothing-of-the-kind"]}', None],
)
def test_the_pools_that_were_read_last_stay_in_force_while_the_nodes_own_cannot_be_taken(
    gens: Path, text: str | None
) -> None:
    (gens / "pools.json").write_text(json.dumps({"small": _ONE}))
    small = Selection(pool="small")
    definitions = _definitions(gens, selection=small)
    assert definitions.broken == {}
    write_catalog(gens, {7: [environment_cell([])]})
    (gens / "pools.json").unlink()
    if text is not None:
        (gens / "pools.json").write_text(text)
    definitions.read()
    assert definitions.catalog.resolve(small).patterns == tuple(_ONE)
    assert _ids(definitions) == [0, 1, 2, 7]
    assert list(definitions.broken) == ["pools.json"]
    definitions.read()
    (gens / "pools.json").write_text(json.dumps({"small": ["python*"]}))
    definitions.read()
    assert definitions.catalog.resolve(small).patterns == ("python*",)
    assert definitions.broken == {}


def test_a_pool_that_selects_nothing_of_the_range_leaves_the_last_one_in_force(gens: Path) -> None:
    write_catalog(gens, {0: [environment_cell([], torch="2.4.1")]})
    small = Selection(pool="small", eager=())
    (gens / "pools.json").write_text(json.dumps({"small": _ONE}))
    definitions = _definitions(gens, least=1, selection=small)
    (gens / "pools.json").write_text(json.dumps({"small": ["*-torch2.4.1-*"]}))
    definitions.read()
    assert definitions.catalog.resolve(small).patterns == tuple(_ONE)
    assert "selects nothing" in str(definitions.broken["pools.json"])


def test_a_pool_that_was_never_there_is_refused_with_the_names_of_the_others(gens: Path) -> None:
    (gens / "pools.json").write_text(json.dumps({"other": _ONE}))
    definitions = _definitions(gens, selection=Selection(pool="small"))
    assert list(definitions.broken) == ["pools.json"]
    with pytest.raises(DefinitionError, match="there are other"):
        definitions.catalog.resolve(definitions.selection)


def test_broken_pools_concern_no_node_that_takes_none(gens: Path) -> None:
    (gens / "pools.json").write_text("{")
    assert _definitions(gens).broken == {}
