"""The lists of generations of which nothing is installed."""

from pathlib import Path

import pytest

from daemon.install.early_lists import write_early_lists
from daemon.prefix.environments_file import read_left_out, read_targets
from daemon.prefix.finding import Finding
from daemon.prefix.mark_check import check_mark
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


@pytest.mark.parametrize("state", ["nothing", "published", "a part"])
def test_a_list_of_another_selection_is_written_again_and_stays_then(fake: FakePrefix, state: str) -> None:
    prefix, generations = fake.prefix, [fake.generation(1)]
    narrow, other = Selection((fake.environment,), eager=()), Selection((fake.toolkit,), eager=())
    if state == "published":
        fake.publish(1, fake.environment)
    elif state == "a part":
        fake.seal(1, narrow)
    for selection in (narrow, other, EVERYTHING, narrow):
        write_early_lists(prefix, generations, selection, lambda _: None)
        missing = {target.name for target in read_targets(prefix, "g00001") if not target.ready}
        assert read_left_out(prefix, "g00001") == {name for name in missing if not selection.has(name)}
        written = prefix.environments_file("g00001").stat().st_ino
        write_early_lists(prefix, generations, selection, lambda _: None)
        assert prefix.environments_file("g00001").stat().st_ino == written
    findings: list[Finding] = []
    check_mark(prefix, "g00001", findings)
    assert findings == []


@pytest.mark.parametrize("damaged", [".done", "environments"])
def test_what_is_damaged_is_left_to_repair(fake: FakePrefix, damaged: str) -> None:
    narrow = Selection((fake.environment,), eager=())
    fake.seal(1, narrow)
    (fake.prefix.generation("g00001") / damaged).write_text("junk")
    before = fake.prefix.environments_file("g00001").read_bytes()
    write_early_lists(fake.prefix, [fake.generation(1)], EVERYTHING, lambda _: None)
    assert fake.prefix.environments_file("g00001").read_bytes() == before


def test_the_list_of_a_whole_generation_stays_whatever_is_selected(fake: FakePrefix) -> None:
    before = fake.prefix.environments_file("g00000").stat().st_ino
    narrow = Selection((fake.environment,))
    write_early_lists(fake.prefix, [fake.generation(0)], narrow, lambda _: None)
    assert fake.prefix.environments_file("g00000").stat().st_ino == before
