"""Versions as numbers."""

import re

_MOST = 999_999_999


def numbers(version: str) -> tuple[int, ...]:
    """Return the numbers of a version, for comparisons: `580.65.06` is (580, 65, 6).

    As in the activation, which has no larger numbers, those of more than nine digits are all the same.
    """
    found = (number.lstrip("0") for number in re.findall(r"[0-9]+", version))
    return tuple(int(number or 0) if len(number) < 10 else _MOST for number in found)
