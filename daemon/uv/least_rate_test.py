"""A download that is too slow, by a clock of the test."""

import itertools
import socket
import time
from collections.abc import Iterator

import pytest

from daemon.uv.least_rate import LeastRate, RateWatch, Slowness
from daemon.uv.received_bytes import ReceivedBytes

_LEAST = LeastRate(1_000, 30.0)


def _watch(events: Iterator[tuple[float, int]]) -> tuple[float, Slowness] | None:
    """Return when a watch first calls a download too slow; the events are times and bytes that come then."""
    watch, total, due_s = RateWatch(_LEAST), 0, 0.0
    for time_s, size_bytes in events:
        while due_s < time_s:
            slow = watch.look(due_s, total)
            if slow is not None:
                return due_s, slow
            due_s += 1.0
        total += size_bytes
    return None


def _steady(bytes_per_s: int, step_s: float = 0.5, until_s: float = 900.0) -> Iterator[tuple[float, int]]:
    steps = itertools.takewhile(lambda time_s: time_s < until_s, itertools.count(step_s, step_s))
    return ((time_s, int(bytes_per_s * step_s)) for time_s in steps)


def test_a_look_at_each_packet_finds_the_same_and_takes_no_longer_the_more_there_were() -> None:
    # Two minutes of small packets: if each look went through all before it, this would take hours.
    packets, per_s = 200_000, 1_700
    watch = RateWatch(_LEAST)
    looks = (watch.look(number / per_s, number * 1_448) for number in range(packets))
    assert not any(looks)
    dripping = RateWatch(_LEAST)
    found = (dripping.look(number / per_s, number // 4) for number in range(packets))
    ended = next(number for number, slow in enumerate(found) if slow is not None)
    assert 30 <= ended / per_s <= 35


def test_a_download_that_drips_is_ended_after_its_window_and_reported_with_its_rate() -> None:
    found = _watch(_steady(20))
    assert found is not None
    ended_s, slow = found
    assert 30 <= ended_s <= 35
    assert "(20 a second)" in str(slow)


@pytest.mark.parametrize("step_s", [2.0, 9.0])
def test_drops_with_pauses_are_a_drip(step_s: float) -> None:
    found = _watch(_steady(20, step_s))
    assert found is not None
    assert found[0] <= 60


def test_a_few_bytes_within_each_time_out_do_not_keep_a_download_for_ever() -> None:
    found = _watch(_steady(1, 29.0))
    assert found is not None
    assert found[0] <= 340


@pytest.mark.parametrize("bytes_per_s", [1_100, 20_000])
def test_one_that_is_slow_but_not_too_slow_goes_on(bytes_per_s: int) -> None:
    assert _watch(_steady(bytes_per_s)) is None


def test_one_that_turns_into_a_drip_is_ended_too() -> None:
    fast = ((time_s, 1_000_000) for time_s in range(1, 100))
    found = _watch(itertools.chain(fast, ((100 + time_s, count) for time_s, count in _steady(20))))
    assert found is not None
    assert 125 <= found[0] <= 140


def test_silence_is_no_drip_before_the_first_byte_nor_after_the_last() -> None:
    page, wheel = (0.5, 5_000), (200.0, 400)
    assert _watch(iter([page, wheel, (280.0, 9_000_000), (900.0, 0)])) is None


def test_two_slow_beginnings_are_no_drip() -> None:
    assert _watch(iter([(0.5, 3_000), (32.0, 3_000), (75.0, 3_000), (76.0, 9_000_000), (300.0, 0)])) is None


def test_the_kernel_counts_what_a_process_receives() -> None:
    counter = ReceivedBytes(__import__("os").getpid())
    before = counter.total()
    if before is None:
        pytest.skip("this kernel does not list sockets")
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()):
        sender, _ = server.accept()
        with sender:
            sender.sendall(b"x" * 12_345)
            end = time.monotonic() + 300
            while (counter.total() or 0) - before < 12_345 and time.monotonic() < end:
                time.sleep(0.01)
    assert (counter.total() or 0) - before == 12_345
