"""Versions as numbers."""

import re


def numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, for comparisons: `580.65.06` is (580, 65, 6)."""
    return tuple(int(number) for number in re.findall(r"\d+", version))
