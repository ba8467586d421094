import pytest

from tests.index.duration import check_duration


@pytest.mark.parametrize("took_s", [4.9, 5.0, 20.0])
def test_what_takes_as_long_as_the_limit_says_is_fine(took_s: float) -> None:
    check_duration(took_s, 1_000_000, 200_000, 20_000)


@pytest.mark.parametrize("took_s", [0.0, 4.8, 26.0, 50.0])
def test_what_is_too_quick_or_takes_ten_times_as_long_is_not(took_s: float) -> None:
    with pytest.raises(AssertionError, match=r"not 4\.90 to 25\.00 s"):
        check_duration(took_s, 1_000_000, 200_000, 20_000)


def test_what_is_over_too_soon_tells_nothing() -> None:
    with pytest.raises(ValueError, match="too soon"):
        check_duration(0.1, 10_000, 200_000, 20_000)
