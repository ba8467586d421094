"""Limits in bytes per second."""

import random

import pytest

from daemon.download_limit.rate_limit import RateLimit, parse_rate


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("50M", 50_000_000),
        ("1.5MB", 1_500_000),
        ("800k", 800_000),
        ("800K", 800_000),
        ("2000000", 2_000_000),
        ("1G", 1_000_000_000),
        (" 10k ", 10_000),
    ],
)
def test_a_rate_is_bytes_a_second_with_or_without_a_unit(text: str, rate: int) -> None:
    assert parse_rate(text) == rate


@pytest.mark.parametrize("text", ["", "M", "fast", "50 M", "-1M", "50MiB", "50Mbit", "1e6", "0x10000", "inf"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="such as 50M"):
        parse_rate(text)


@pytest.mark.parametrize("text", ["0", "9999", "9.9k"])
def test_a_rate_that_no_download_would_survive_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="less than 10k"):
        parse_rate(text)


def test_what_passes_in_any_time_is_what_the_rate_allows_and_a_burst() -> None:
    choose = random.Random(6)  # noqa: S311 (cases of a test)
    limit = RateLimit(1_000_000)
    now, passed = 0.0, []
    for _ in range(2_000):
        now += choose.choice([0.0, 0.0, 0.001, 0.3])
        size = choose.randrange(1, limit.chunk_bytes)
        passed.append((now + limit.delay_s(size, now), size))
    assert passed == sorted(passed, key=lambda item: item[0])
    for first in range(0, len(passed), 50):
        total = 0
        for when, size in passed[first:]:
            total += size
            elapsed = when - passed[first][0]
            # The first of them had waited for its own bytes.
            assert total - passed[first][1] <= limit.bytes_per_s * elapsed + limit.burst_bytes + 1


def test_who_waits_all_the_time_gets_the_whole_rate() -> None:
    limit = RateLimit(1_000_000)
    now = 100.0
    for _ in range(1_000):
        now += limit.delay_s(10_000, now)
    assert now - 100.0 == pytest.approx(10 - limit.burst_bytes / limit.bytes_per_s)


def test_fifty_downloads_at_the_slowest_rate_each_move_within_ten_seconds() -> None:
    limit = RateLimit(10_000)
    assert 50 * limit.chunk_bytes / limit.bytes_per_s < 10


def test_chunks_are_neither_tiny_nor_more_than_a_moments_worth() -> None:
    assert RateLimit(1_000_000).chunk_bytes == 20_000
    assert RateLimit(1_000_000_000).chunk_bytes == 65_536
