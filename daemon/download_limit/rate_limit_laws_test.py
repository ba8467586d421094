"""The laws of limits: how a rate is parsed, and that the bytes that pass are close to it, from both sides."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from daemon.download_limit.rate_limit import SLOWEST_BYTES_PER_S, RateLimit, parse_rate

_RATES = st.integers(SLOWEST_BYTES_PER_S, 10**11)
# What passes: its size as a part of a chunk, and the pause before it asks.
_PASSES = st.lists(
    st.tuples(st.floats(0.001, 1.0), st.sampled_from([0.0, 0.0, 0.001, 0.05, 2.0])), min_size=1, max_size=60
)


@given(
    st.integers(0, 10**12),
    st.sampled_from([("", 1), ("k", 10**3), ("M", 10**6), ("G", 10**9), ("MB", 10**6)]),
)
def test_a_rate_is_its_number_times_its_unit_or_too_slow(number: int, unit: tuple[str, int]) -> None:
    name, factor = unit
    if number * factor >= SLOWEST_BYTES_PER_S:
        assert parse_rate(f" {number}{name} ") == pytest.approx(number * factor, rel=1e-12)
        return
    with pytest.raises(ValueError, match="less than 10k"):
        parse_rate(f"{number}{name}")


@given(st.text() | st.text("0123456789.kMGB٣ -+e_x"))
@example("9" * 400)
@example("9" * 5_000 + "G")
@example("1" + "0" * 308 + "G")
@example("٣٠٠٠٠")
def test_any_text_is_a_rate_above_the_slowest_or_is_refused_as_itself(text: str) -> None:
    try:
        rate = parse_rate(text)
    except ValueError as error:
        refusal = str(error)
    else:
        assert SLOWEST_BYTES_PER_S <= rate < 10**30
        return
    assert refusal.startswith(repr(text)[:40])


@given(_RATES, _PASSES)
def test_what_passes_in_any_time_is_at_most_the_rate_and_a_burst(
    rate: int, passes: list[tuple[float, float]]
) -> None:
    passed = _pass(RateLimit(rate), passes)
    for first in range(len(passed)):
        total = 0
        for when, size in passed[first + 1 :]:
            total += size
            assert (
                total
                <= rate * (when - passed[first][0]) * (1 + 1e-9) + RateLimit(rate).burst_bytes + size + 1
            )


@given(_RATES, _PASSES)
def test_nobody_waits_longer_than_for_what_was_asked_for_before_at_the_rate(
    rate: int, passes: list[tuple[float, float]]
) -> None:
    limit = RateLimit(rate)
    now, asked = 1_000.0, 0
    for part, pause_s in passes:
        now += pause_s
        size = max(1, int(limit.chunk_bytes * part))
        asked += size
        assert 0 <= limit.delay_s(size, now) <= asked / rate * (1 + 1e-9) + 1e-6


def _pass(limit: RateLimit, passes: list[tuple[float, float]]) -> list[tuple[float, int]]:
    now, passed = 1_000.0, []
    for part, pause_s in passes:
        now += pause_s
        size = max(1, int(limit.chunk_bytes * part))
        passed.append((now + limit.delay_s(size, now), size))
    return sorted(passed)
