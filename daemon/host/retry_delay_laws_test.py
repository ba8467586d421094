"""The laws of the delay before a retry."""

from hypothesis import given
from hypothesis import strategies as st

from daemon.host.retries import retry_delay_s

_FAILURES = st.integers(1, 10**9)
_FIRST = st.floats(0.001, 3_600)
_LONGEST = st.floats(1.0, 10**7)
_JITTER = st.floats(0.5, 1.5)


@given(_FAILURES, _FIRST, _LONGEST, _JITTER)
def test_a_delay_is_never_none_and_never_above_the_bound(
    failures: int, first_s: float, longest_s: float, jitter: float
) -> None:
    delay_s = retry_delay_s(failures, first_s, longest_s, jitter)
    assert min(first_s, longest_s) * 0.5 <= delay_s <= longest_s * 1.5


@given(_FAILURES, _FIRST, _LONGEST)
def test_each_failure_doubles_the_delay_up_to_the_bound(
    failures: int, first_s: float, longest_s: float
) -> None:
    before, after = (retry_delay_s(count, first_s, longest_s, 1.0) for count in (failures, failures + 1))
    assert before <= after <= 2 * before
    assert after == min(2 * before, longest_s)


@given(_FIRST, _LONGEST)
def test_what_fails_for_ever_is_tried_at_the_bound(first_s: float, longest_s: float) -> None:
    assert retry_delay_s(10**9, first_s, longest_s, 1.0) == longest_s
