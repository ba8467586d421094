import threading

import pytest

from daemon.host.many_items import work_off


@pytest.mark.parametrize("jobs", [1, 3])
def test_the_results_come_in_the_order_of_the_items(jobs: int) -> None:
    assert work_off(list(range(1_000)), lambda number: number * 2, jobs) == list(range(0, 2_000, 2))


def test_no_items_are_no_work() -> None:
    assert work_off([], lambda number: number, 4) == []


def test_each_item_is_worked_on_once() -> None:
    seen: list[int] = []
    work_off(list(range(1_000)), seen.append, 4)
    assert sorted(seen) == list(range(1_000))


def test_several_items_are_worked_on_at_once() -> None:
    both = threading.Barrier(2, timeout=60)
    assert work_off([1, 2], lambda _: both.wait() in {0, 1}, 2) == [True, True]


@pytest.mark.parametrize("jobs", [1, 2])
def test_after_an_error_no_further_item_begins(jobs: int) -> None:
    begun: list[int] = []

    def work(number: int) -> None:
        begun.append(number)
        raise ValueError(number)

    with pytest.raises(ValueError, match=r"[01]"):
        work_off(list(range(1_000)), work, jobs)
    assert len(begun) <= jobs
