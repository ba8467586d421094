"""Fits how a measure grows: the exponent of its size, beside a cost that every size has.

A program takes half a second to start whatever the prefix holds. So the value at the smallest size (the
*base*) is taken off, and only what rises clearly above it is fitted: `log(value - base)` over `log(size)`.
"""

import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass

# Between 100 and 1,000, n log n has the exponent 1.18, between 10 and 100 1.3; the rest is for noise.
_NOISE = 0.1
_FLAT = 0.25  # of the base: what a busy machine adds to a measure that does not grow


@dataclass(frozen=True, slots=True)
class Fit:
    """The growth of a measure.

    Attributes:
        exponent: 1 for a straight line, 2 for a square; None if the measure does not rise above its base.
        limit: The exponent of n log n over the same sizes, and what noise may add.
    """

    exponent: float | None
    limit: float

    @property
    def is_within(self) -> bool:
        """True if the measure grows like n log n at most."""
        return self.exponent is None or self.exponent <= self.limit


def fit_growth(values: Mapping[int, float], base: float) -> Fit:
    """Fit the growth of a measure.

    Args:
        values: The measure by size.
        base: The measure at the smallest possible size.

    Returns:
        The fit, of the sizes whose value is more than a quarter above the base, and of the largest one
        without. With a single such size, the line to the smallest size decides.
    """
    rises = {size: value - base for size, value in values.items() if value > base * (1 + _FLAT)}
    largest = max(values)
    if largest not in rises:
        return Fit(None, _limit([*values]))
    if len(rises) == 1:
        smaller = max(size for size in values if size != largest)
        rises[smaller] = base * _FLAT  # less than that: the exponent is this one or a higher one
    return Fit(_slope(rises), _limit([*rises]))


def _slope(values: Mapping[int, float]) -> float:
    """Return the slope of the logarithms, by least squares."""
    sizes = [math.log(size) for size in values]
    return statistics.linear_regression(sizes, [math.log(value) for value in values.values()]).slope


def _limit(sizes: list[int]) -> float:
    return _slope({size: size * math.log(size + 1) for size in sizes}) + _NOISE
