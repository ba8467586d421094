"""The lists of generations of which nothing is installed."""

from pathlib import Path

import pytest

from daemon.install.early_lists import write_early_lists
from daemon.prefix.environments_file import read_targets
from gens.selection import EVERYTHING, Selection
from tests.fake_prefix.fake_prefix import FakePrefix


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    fake.define(1)
    fake.install(0)
    return fake


def test_a_generation_without_a_list_gets_one_and_others_keep_theirs(fake: FakePrefix) -> None:
    before = fake.prefix.environments_file("g00000").stat().st_ino
    generations = fake.catalog.between(None, None)
    write_early_lists(fake.prefix, generations, EVERYTHING, lambda _: None)
    listed = {(target.name, target.ready) for target in read_targets(fake.prefix, "g00001")}
    assert listed == {(fake.environment, False), (fake.toolkit, False)}
    assert fake.prefix.environments_file("g00000").stat().st_ino == before
    written = fake.prefix.environments_file("g00001").stat().st_ino
    write_early_lists(fake.prefix, generations, EVERYTHING, lambda _: None)
    assert fake.prefix.environments_file("g00001").stat().st_ino == written


def test_a_generation_of_which_nothing_is_selected_gets_no_folder(fake: FakePrefix) -> None:
    write_early_lists(fake.prefix, fake.catalog.between(None, None), Selection(("other*",)), lambda _: None)
    assert not fake.prefix.generation("g00001").exists()


def test_nothing_is_written_through_a_link(fake: FakePrefix, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    fake.prefix.generation("g00001").symlink_to(outside)
    write_early_lists(fake.prefix, fake.catalog.between(None, None), EVERYTHING, lambda _: None)
    assert list(outside.iterdir()) == []
