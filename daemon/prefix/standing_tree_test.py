"""A tree of an earlier run is sealed only if it is what its manifest says."""

from pathlib import Path

import pytest

from daemon.errors import DamageError
from daemon.host.known_contents import KnownContents
from daemon.prefix.standing_tree import check_tree
from tests.fake_prefix.fake_prefix import FakePrefix


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    fake.define(0)
    fake.publish(0)
    return fake


def test_an_undamaged_tree_passes_by_its_folder_and_by_the_link_to_it(fake: FakePrefix) -> None:
    for name in (fake.environment, fake.toolkit):
        check_tree(fake.prefix, fake.prefix.target("g00000", name), name, KnownContents(1))


def test_a_tree_that_was_written_to_is_named_with_the_first_difference(fake: FakePrefix) -> None:
    (fake.tree(0) / "stray").touch()
    with pytest.raises(DamageError, match=r"^g00000/x: was published .* 1 difference since, such as extra"):
        check_tree(fake.prefix, fake.tree(0), "g00000/x", KnownContents(1))


def test_what_this_run_has_read_is_not_read_again(fake: FakePrefix) -> None:
    path = next(fake.tree(0).rglob("data"))
    known = KnownContents(1)
    known.record(path.lstat(), "0" * 64)
    with pytest.raises(DamageError, match="sha256:0000"):
        check_tree(fake.prefix, fake.tree(0), "it", known)
