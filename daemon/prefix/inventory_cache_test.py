"""Inventories are read once, and kept while there is room."""

from pathlib import Path

import pytest

from daemon.errors import WheelContentError
from daemon.prefix.inventory_cache import InventoryCache
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.synthetic.catalog import locked_wheel


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    return FakePrefix(tmp_path)


def test_inventories_are_read_once_and_the_oldest_are_forgotten(fake: FakePrefix) -> None:
    wheels = [locked_wheel(fake.wheel(name)) for name in ("alpha", "beta")]
    cache = InventoryCache(fake.prefix, max_files=1)
    first = cache.get(wheels[0])
    assert cache.get(wheels[0]) is first
    second = cache.get(wheels[1])
    assert cache.get(wheels[1]) is second
    assert cache.get(wheels[0]) is not first


def test_a_wheel_without_an_inventory_is_named(fake: FakePrefix) -> None:
    wheel = locked_wheel(fake.wheel("alpha", cached=False))
    with pytest.raises(WheelContentError, match=wheel.filename):
        InventoryCache(fake.prefix).get(wheel)
