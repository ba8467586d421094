"""The record of the GPU architectures of a Torch wheel."""

import gzip
from pathlib import Path

import pytest

from daemon.errors import DamageError, NewerFormatError
from daemon.prefix.gpu_architectures import (
    architectures_of,
    architectures_path,
    keep_architectures,
    known_architectures,
    read_architectures,
)
from daemon.prefix.prefix import Prefix
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.synthetic.catalog import environment_cell

_WHEEL = "ab" * 32


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    return FakePrefix(tmp_path)


@pytest.mark.parametrize("names", [(), ("sm_90",), ("sm_75", "sm_90a", "sm_100", "compute_120")])
def test_what_was_recorded_is_read_back(fake: FakePrefix, names: tuple[str, ...]) -> None:
    assert read_architectures(fake.prefix, _WHEEL) is None
    keep_architectures(fake.prefix, _WHEEL, names)
    assert read_architectures(fake.prefix, _WHEEL) == names


@pytest.mark.parametrize(
    "content",
    [
        b"", b"no gzip", gzip.compress(b"monobase-inventory 1\n"),
        gzip.compress(b"monobase-architectures 1\nsm_\n"),
        gzip.compress(b"monobase-architectures 1\nsm_90;reboot\n"),
    ],
)  # fmt: skip
def test_a_record_that_is_not_one_is_damage_and_is_written_again(fake: FakePrefix, content: bytes) -> None:
    architectures_path(fake.prefix, _WHEEL).write_bytes(content)
    with pytest.raises(DamageError, match=_WHEEL):
        read_architectures(fake.prefix, _WHEEL)
    keep_architectures(fake.prefix, _WHEEL, ["sm_90"])
    assert read_architectures(fake.prefix, _WHEEL) == ("sm_90",)


def test_a_folder_in_the_place_of_a_record_is_replaced(fake: FakePrefix) -> None:
    (architectures_path(fake.prefix, _WHEEL) / "deep").mkdir(parents=True)
    keep_architectures(fake.prefix, _WHEEL, ["sm_90"])
    assert read_architectures(fake.prefix, _WHEEL) == ("sm_90",)


def test_a_record_of_a_newer_release_is_not_damage(fake: FakePrefix) -> None:
    architectures_path(fake.prefix, _WHEEL).write_bytes(gzip.compress(b"monobase-architectures 2\nall\n"))
    with pytest.raises(NewerFormatError):
        read_architectures(fake.prefix, _WHEEL)


def test_an_environment_has_the_architectures_of_its_own_torch(fake: FakePrefix) -> None:
    old, new = fake.wheel("torch", "2.4.1"), fake.wheel("torch", "2.5.1")
    cells = [environment_cell([old], "2.4.1"), environment_cell([new], "2.5.1")]
    keep_architectures(fake.prefix, old.sha256, ["sm_50"])
    keep_architectures(fake.prefix, new.sha256, ["sm_90"])
    fake.install(0, *cells)
    trees = [fake.tree(0, cell.target.name) for cell in cells]
    known = known_architectures(fake.prefix)
    assert known == {old.sha256: ("sm_50",), new.sha256: ("sm_90",)}
    assert [architectures_of(tree, known) for tree in trees] == [("sm_50",), ("sm_90",)]
    # The same name, other content: what was read of the old manifest does not count.
    (trees[0] / ".manifest").unlink()
    (trees[1] / ".manifest").rename(trees[0] / ".manifest")
    assert [architectures_of(tree, known) for tree in trees] == [("sm_90",), ()]


def test_only_records_that_can_be_read_are_known(fake: FakePrefix) -> None:
    assert known_architectures(Prefix(fake.directory / "nothing")) == {}
    keep_architectures(fake.prefix, _WHEEL, ["sm_90"])
    architectures_path(fake.prefix, "00" * 32).write_bytes(b"junk")
    (fake.prefix.wheels / "stray.architectures.gz").write_bytes(b"")
    assert known_architectures(fake.prefix) == {_WHEEL: ("sm_90",)}
