"""Tests of the token bucket, with a clock that only its own waits and the test move."""

import pytest

from tests.bench.cold_start.token_bucket import TokenBucket


class Clock:
    """A clock that a test moves, and that sleeping moves."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.oversleep_s = 0.0

    def read(self) -> float:
        return self.now_s

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds + self.oversleep_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_what_passes_takes_as_long_as_the_rate_says(clock: Clock) -> None:
    bucket = TokenBucket(1000.0, clock.read, clock.sleep)
    for _ in range(50):
        bucket.take(100)
    assert clock.now_s - 100.0 == pytest.approx(5.0)


def test_time_in_which_nothing_passes_is_worth_one_burst_at_most(clock: Clock) -> None:
    bucket = TokenBucket(1000.0, clock.read, clock.sleep)
    clock.now_s += 3600
    began_s = clock.now_s
    bucket.take(1000)
    assert clock.now_s - began_s == pytest.approx(1.0 - 0.01)


def test_a_sleep_that_lasts_too_long_is_made_up_for(clock: Clock) -> None:
    bucket = TokenBucket(1000.0, clock.read, clock.sleep)
    clock.oversleep_s = 0.005
    for _ in range(100):
        bucket.take(100)
    assert clock.now_s - 100.0 == pytest.approx(10.0, abs=0.011)


def test_another_rate_begins_with_an_empty_bucket(clock: Clock) -> None:
    bucket = TokenBucket(1000.0, clock.read, clock.sleep)
    bucket.take(500)
    clock.now_s += 3600
    bucket.limit(10_000.0)
    began_s = clock.now_s
    bucket.take(5000)
    assert clock.now_s - began_s == pytest.approx(0.5)


def test_without_a_rate_nothing_waits(clock: Clock) -> None:
    bucket = TokenBucket(None, clock.read, clock.sleep)
    bucket.take(10**12)
    assert clock.now_s == 100.0
