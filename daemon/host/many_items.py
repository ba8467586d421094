"""Works on many small items by a few threads.

A future for each item would cost more than to read a small file.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def work_off(items: Sequence[T], work: Callable[[T], R], jobs: int) -> list[R]:
    """Work on items, several at once.

    Args:
        items: The items.
        work: Called with each item, by several threads; after an error, no further item begins.
        jobs: Number of threads.

    Returns:
        The results, in the order of the items.

    Raises:
        BaseException: What `work` raised first.
    """
    if len(items) <= 1 or jobs == 1:
        return [work(item) for item in items]
    left = iter(range(len(items)))
    results: dict[int, R] = {}

    def take() -> None:
        for number in left:  # the threads share it: each number comes once
            results[number] = work(items[number])

    with ThreadPoolExecutor(min(jobs, len(items))) as pool:
        threads = [pool.submit(take) for _ in range(min(jobs, len(items)))]
        try:
            for thread in threads:
                thread.result()
        finally:
            for _ in left:  # after an error or an interrupt, no further item begins
                pass
    return [results[number] for number in range(len(items))]
