"""The environments and toolkits to install, and the wheels to download for them."""

import gzip
from pathlib import Path

import pytest

from daemon.install.wanted import Wanted, missing_bytes, wheels_to_fetch
from daemon.prefix.inventory import inventory_path
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.index.wheel import Wheel
from tests.synthetic.catalog import PLATFORM, environment_cell, locked_wheel


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    return FakePrefix(tmp_path)


def _wanted(fake: FakePrefix, *wheels: Wheel, number: int = 0) -> Wanted:
    generation = fake.define(number, environment_cell(list(wheels)))
    (target,) = generation.targets
    return Wanted(generation, target, fake.catalog.lock(generation, target))


def test_a_target_is_named_with_its_generation(fake: FakePrefix) -> None:
    assert _wanted(fake, fake.wheel("alpha")).label == f"g00000/{fake.environment}"


def test_only_wheels_that_the_prefix_lacks_are_downloaded_each_once(fake: FakePrefix) -> None:
    held, lacked = fake.wheel("alpha"), fake.wheel("beta", cached=False)
    wanted = [_wanted(fake, held, lacked), _wanted(fake, lacked, number=1)]
    (item,) = wheels_to_fetch(fake.prefix, wanted)
    assert (item.wheel, item.index_url, item.platform) == (locked_wheel(lacked), None, PLATFORM)
    assert item.pythons == (wanted[0].target.inputs.python,)


@pytest.mark.parametrize(
    ("content", "lacked"), [(b"not gzip", True), (gzip.compress(b"monobase-inventory 99\n"), False)]
)
def test_a_wheel_with_a_damaged_inventory_is_downloaded_and_one_with_a_newer_is_not(
    fake: FakePrefix, content: bytes, lacked: bool
) -> None:
    wanted = _wanted(fake, fake.wheel("alpha"))
    path = inventory_path(fake.prefix, wanted.lock.wheels[0].sha256)
    path.unlink()
    path.write_bytes(content)
    assert bool(wheels_to_fetch(fake.prefix, [wanted])) == lacked


def test_a_wheel_that_has_left_the_cache_is_downloaded(fake: FakePrefix) -> None:
    wanted = _wanted(fake, fake.wheel("alpha"))
    for pointer in fake.prefix.uv_cache.rglob("*.http"):
        pointer.unlink()
    assert len(wheels_to_fetch(fake.prefix, [wanted])) == 1


def test_what_is_missing_is_told_without_reading_inventories(fake: FakePrefix) -> None:
    held, lacked = fake.wheel("alpha"), fake.wheel("beta", cached=False)
    wanted = [_wanted(fake, held, lacked), _wanted(fake, lacked, number=1)]
    path = inventory_path(fake.prefix, held.sha256)
    path.unlink()
    path.write_bytes(b"not gzip")
    assert missing_bytes(fake.prefix, wanted) == {lacked.sha256: lacked.size_bytes}
