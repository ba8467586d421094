"""Reads the folder of a generation, and whether it is sealed from the present definition."""

import os
from pathlib import Path

import pytest

from daemon.errors import DamageError
from daemon.prefix.generation import (
    GenerationEntry,
    definition_digest,
    is_sealed,
    is_strange_folder,
    list_generation,
    published_names,
)
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.synthetic.catalog import environment_cell, on_platform


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    fake.install(0)
    return fake


def test_a_generation_is_listed_by_kind_without_its_mark_its_list_and_what_is_being_written(
    fake: FakePrefix,
) -> None:
    directory = fake.prefix.generation("g00000")
    (directory / "file").touch()
    os.mkfifo(directory / "pipe")
    (directory / ".environments.1234.tmp").touch()
    assert list_generation(fake.prefix, "g00000") == [
        GenerationEntry(
            "cudnn9-cuda12", directory / "cudnn9-cuda12", "link", "../../cuda/cudnn-9.1.0.70-cuda12"
        ),
        GenerationEntry("file", directory / "file", "file"),
        GenerationEntry("pipe", directory / "pipe", "file"),
        GenerationEntry(fake.environment, directory / fake.environment, "folder"),
    ]
    assert published_names(fake.prefix, "g00000") == {"cudnn9-cuda12", fake.environment}


def test_a_folder_that_no_install_made_is_strange_and_a_damaged_environment_is_not(tmp_path: Path) -> None:
    for name, strange in (("notes", True), ("python3.11-torch2.4.1-cpu", False), ("cuda12.4", False)):
        (tmp_path / name).mkdir()
        assert is_strange_folder(tmp_path / name) == strange
    (tmp_path / "notes" / ".manifest").touch()
    assert not is_strange_folder(tmp_path / "notes")


def test_the_digest_of_a_definition_depends_on_what_decides_its_resolution(fake: FakePrefix) -> None:
    first = definition_digest(fake.generation(0))
    assert definition_digest(fake.define(1)) == first  # the same targets, in another generation
    other = fake.define(2, environment_cell([fake.wheel("beta")]), fake.cudnn_cell())
    assert definition_digest(other) != first


def test_a_node_digests_a_definition_as_if_it_had_no_other_machine(fake: FakePrefix) -> None:
    cells = fake.default_cells()
    both = fake.define(3, *cells, *map(on_platform, cells))
    own = both.for_machine(fake.generation(0).environments[0].inputs.machine)
    assert definition_digest(own) == definition_digest(fake.generation(0))
    assert definition_digest(both) != definition_digest(own)


def test_a_generation_that_was_sealed_from_another_definition_is_damage(fake: FakePrefix) -> None:
    fake.define(0, environment_cell([fake.wheel("beta")]), fake.cudnn_cell())
    with pytest.raises(DamageError, match="was sealed from another definition"):
        is_sealed(fake.prefix, fake.generation(0))
