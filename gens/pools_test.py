"""The pools: what is malformed is refused with its path, and what the folder defines can be chosen."""

import os
from pathlib import Path

import pytest

from gens.catalog import load_catalog
from gens.errors import DefinitionError
from gens.generation import Environment, Generation, Inputs, format_generation
from gens.pools import POOLS_NAME, parse_pools
from gens.selection import EVERYTHING, Selection

_INPUTS = Inputs("3.11.10", "x86_64-manylinux_2_28", "2026-11-01T00:00:00Z", ())


@pytest.fixture
def gens(tmp_path: Path) -> Path:
    """A folder with two generations: one has Python 3.11, the other Python 3.12."""
    for number, python in enumerate(["3.11", "3.12"]):
        generation = Generation(
            id=number,
            platform=_INPUTS.platform,
            exclude_newer=_INPUTS.exclude_newer,
            python={python: f"{python}.1"},
            environments=(Environment(python, f"{python}.1", _INPUTS),),
        )
        (tmp_path / f"{generation.directory_name}.json").write_text(format_generation(generation))
    return tmp_path


def test_a_pool_is_a_selection_with_a_name(gens: Path) -> None:
    (gens / POOLS_NAME).write_text('{"old": ["python3.11"], "all": ["*"]}')
    catalog = load_catalog(gens)
    assert catalog.resolve(Selection(pool="old")) == Selection(("python3.11",), "old")
    assert catalog.resolve(EVERYTHING) == EVERYTHING
    with pytest.raises(DefinitionError, match="there is no pool h100; there are old, all"):
        catalog.resolve(Selection(pool="h100"))


def test_a_folder_without_pools_has_none(gens: Path) -> None:
    with pytest.raises(DefinitionError, match="there is no pool h100; there are none"):
        load_catalog(gens).resolve(Selection(pool="h100"))


def test_a_pattern_that_matches_nothing_of_any_generation_is_an_error(gens: Path) -> None:
    (gens / POOLS_NAME).write_text('{"old": ["python3.11", "pyhton3.12", "cuda*"]}')
    with pytest.raises(DefinitionError, match=r"pools.json: the pool old: pyhton3.12 cuda\* matches nothing"):
        load_catalog(gens)


def test_pools_are_not_compared_with_generations_of_which_one_cannot_be_read(gens: Path) -> None:
    (gens / POOLS_NAME).write_text('{"new": ["python3.12"]}')
    (gens / "g00001.json").write_text("{")
    catalog = load_catalog(gens, keep_broken=True)
    assert catalog.resolve(Selection(pool="new")).patterns == ("python3.12",)


@pytest.mark.parametrize("text", ["{", "[]", '{"old": "*"}', '{"old": [7]}', "\udcff"])
def test_what_is_not_a_list_of_pools_keeps_only_pools_from_being_chosen(gens: Path, text: str) -> None:
    (gens / POOLS_NAME).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(DefinitionError, match=r"pools.json: not a list of pools: "):
        load_catalog(gens)
    catalog = load_catalog(gens, keep_broken=True)
    assert len(catalog.generations) == 2
    assert catalog.resolve(EVERYTHING) == EVERYTHING
    with pytest.raises(DefinitionError, match="not a list of pools"):
        catalog.resolve(Selection(pool="old"))


def test_a_folder_in_place_of_the_pools_is_an_error(gens: Path) -> None:
    (gens / POOLS_NAME).mkdir()
    with pytest.raises(DefinitionError, match=r"pools.json: cannot be read: Is a directory"):
        load_catalog(gens)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"H100": ["*"]}', "'H100' is not the name of a pool"),
        ('{"a b": ["*"]}', "'a b' is not the name of a pool"),
        ('{"": ["*"]}', "'' is not the name of a pool"),
        ('{"h100": []}', "the pool h100 has no patterns"),
        ('{"h100": ["[ab]*"]}', r"the pool h100 has '\[ab\]\*', not a pattern"),
        ('{"h100": ["a b"]}', "the pool h100 has 'a b', not a pattern"),
    ],
)
def test_a_name_or_a_pattern_of_another_form_is_refused(text: str, message: str) -> None:
    with pytest.raises(DefinitionError, match=message):
        parse_pools(text, Path("pools.json"))


def test_the_pools_of_this_repository_select_something() -> None:
    if "MONOBASE_GENERATIONS" not in os.environ:
        pytest.skip("Bazel writes the pools")
    catalog = load_catalog()
    assert catalog.pools
    for name in catalog.pools:
        assert catalog.resolve(Selection(pool=name)).targets(catalog.generations[-1]), name
