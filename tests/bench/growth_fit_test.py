import math
from collections.abc import Callable

import pytest

from tests.bench.growth_fit import fit_growth

SIZES = (10, 100, 1000)


def exponent(grows: Callable[[int], float], base: float = 0.5) -> float | None:
    return fit_growth({size: base + grows(size) for size in SIZES}, base).exponent


def test_a_straight_line_above_its_base_has_the_exponent_one() -> None:
    assert exponent(lambda size: size * 0.2) == pytest.approx(1.0)


def test_a_square_has_the_exponent_two_and_is_not_within_the_limit() -> None:
    fit = fit_growth({size: 0.5 + size**2 * 0.01 for size in SIZES}, 0.5)
    assert fit.exponent == pytest.approx(2.0)
    assert not fit.is_within


def test_n_log_n_is_within_the_limit() -> None:
    assert fit_growth({size: size * math.log(size) for size in SIZES}, 0.0).is_within


def test_a_measure_that_stays_near_its_base_does_not_grow() -> None:
    fit = fit_growth({10: 0.51, 100: 0.48, 1000: 0.55}, 0.5)
    assert fit.exponent is None
    assert fit.is_within


def test_a_square_that_only_the_largest_size_shows_is_not_within_the_limit() -> None:
    fit = fit_growth({size: 0.5 + size**2 * 1e-5 for size in SIZES}, 0.5)
    assert not fit.is_within


def test_a_line_that_only_the_largest_size_shows_is_within_the_limit() -> None:
    assert fit_growth({size: 0.5 + size * 1e-3 for size in SIZES}, 0.5).is_within
