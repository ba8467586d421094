"""A token bucket: in any interval, at most its rate times the interval and one burst pass."""

import threading
import time
from collections.abc import Callable

_BURST_S = 0.01


class TokenBucket:
    """Delays callers so that together they keep to a rate.

    It is the scheduling form of the algorithm: one time stamp, at which all that was taken will have passed.
    A caller who sleeps too long loses nothing, as long as it is less than a burst.

    Args:
        bytes_per_s: The rate; None for no limit.
        clock: Returns seconds that never go back.
        sleep: Waits for some seconds.
    """

    def __init__(
        self,
        bytes_per_s: float | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._bytes_per_s = bytes_per_s
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._passed_at = clock()

    def limit(self, bytes_per_s: float | None) -> None:
        """Set another rate, with an empty bucket; None for no limit."""
        with self._lock:
            self._bytes_per_s = bytes_per_s
            self._passed_at = self._clock()

    def take(self, size_bytes: int) -> None:
        """Wait until some bytes may pass."""
        with self._lock:
            if self._bytes_per_s is None:
                return
            now = self._clock()
            self._passed_at = max(self._passed_at, now - _BURST_S) + size_bytes / self._bytes_per_s
            wait_s = self._passed_at - now
        if wait_s > 0:
            self._sleep(wait_s)
