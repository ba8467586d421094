"""The table of minimum drivers."""

import re

import pytest

from gens.drivers import MINIMUM_DRIVERS, minimum_driver


@pytest.mark.parametrize(
    ("cuda", "driver"),
    [
        ("11.8", "450.80.02"), ("12.1", "525.60.13"), ("12.8", "525.60.13"), ("12.8.1", "525.60.13"),
        ("13.0", "580.65.06"), ("13.2", "580.65.06"), ("10.2", None), ("99.0", None), ("", None),
    ],
)  # fmt: skip
def test_all_releases_of_a_cuda_major_version_need_its_first_driver(cuda: str, driver: str | None) -> None:
    assert minimum_driver(cuda) == driver


def test_a_driver_is_three_numbers_and_grows_with_cuda() -> None:
    assert all(re.fullmatch(r"[0-9]{3}\.[0-9]{2,3}\.[0-9]{2}", driver) for driver in MINIMUM_DRIVERS.values())
    by_major = sorted(MINIMUM_DRIVERS.items(), key=lambda item: int(item[0]))
    numbers = [tuple(int(part) for part in driver.split(".")) for _, driver in by_major]
    assert numbers == sorted(numbers)
