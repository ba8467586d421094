"""The subjects that failed, and when each is tried again: each has a delay of its own.

A subject is what can fail by itself: `repair g00003`, `install g00003/cuda12.4`, `prune`. Its delay doubles
with each failure in a row up to a bound, times a jitter so that nodes do not ask an index at once. Delays are
told by a clock that never goes back; the time of day is only shown.
"""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

_MOST_DOUBLINGS = 60


@dataclass(frozen=True, slots=True)
class Retry:
    """A subject that failed.

    Attributes:
        subject: Such as `install g00003/cuda12.4`.
        attempts: How often in a row it has failed.
        reason: Why, the last time.
        next_try_s: When it is tried again, in seconds since the epoch as the clock stood when it failed;
            it is shown, and never waited for.
    """

    subject: str
    attempts: int
    reason: str
    next_try_s: int


@dataclass(slots=True)
class Retries:
    """The subjects that failed; one that succeeds is forgotten. One thread writes, others may read.

    Attributes:
        first_s: Delay after the first failure of a subject.
        longest_s: The longest delay, before its jitter.
        clock: Seconds of a clock that never goes back.
        time_of_day: Seconds since the epoch.
        jitter: The factor of the delays; one for all that fails together, so that it is tried together.
    """

    first_s: float = 5.0
    longest_s: float = 600.0
    clock: Callable[[], float] = lambda: time.monotonic()  # noqa: PLW0108 (looked up at each call, for tests)
    time_of_day: Callable[[], float] = lambda: time.time()  # noqa: PLW0108
    jitter: float = 1.0
    _pending: dict[str, tuple[Retry, float]] = field(default_factory=dict)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def draw_jitter(self) -> None:
        """Choose another factor."""
        self.jitter = random.uniform(0.5, 1.5)  # noqa: S311 (it spreads, and hides nothing)

    def may(self, subject: str) -> bool:
        """Return whether a subject may be tried now: it has not failed, or its delay has expired."""
        with self._guard:
            entry = self._pending.get(subject)
        return entry is None or self.clock() >= entry[1]

    def failed(self, subject: str, reason: str) -> float:
        """Note a failure.

        Args:
            subject: What failed.
            reason: Why, in one line that everybody may read.

        Returns:
            The delay until it is tried again.
        """
        with self._guard:
            before = self._pending.get(subject)
            attempts = 1 if before is None else before[0].attempts + 1
            delay_s = retry_delay_s(attempts, self.first_s, self.longest_s, self.jitter)
            shown = Retry(subject, attempts, reason, round(self.time_of_day() + delay_s))
            self._pending[subject] = (shown, self.clock() + delay_s)
        return delay_s

    def succeeded(self, subject: str) -> None:
        """Forget that a subject has failed."""
        with self._guard:
            self._pending.pop(subject, None)

    def keep_only(self, kind: str, names: set[str]) -> None:
        """Forget the subjects of a kind (`repair`) that do not exist any more, by name such as `g00003`."""
        with self._guard:
            for subject in [item for item in self._pending if item.startswith(f"{kind} ")]:
                if subject.removeprefix(f"{kind} ") not in names:
                    del self._pending[subject]

    def pending(self) -> list[Retry]:
        """Return the subjects that have not succeeded since they failed, by name."""
        with self._guard:
            return [self._pending[subject][0] for subject in sorted(self._pending)]

    def next_s(self, subject: str) -> float | None:
        """Return the seconds until a subject is tried again; None when it has not failed."""
        with self._guard:
            entry = self._pending.get(subject)
        return None if entry is None else max(0.0, entry[1] - self.clock())

    def soonest_s(self, since_s: float) -> float | None:
        """Return the seconds until the first subject may be tried that could not be at a time of the clock.

        Args:
            since_s: That time, such as the beginning of a round: what could be tried then was, if it was
                still there to be done.

        Returns:
            The seconds; None when there is nothing of that kind.
        """
        with self._guard:
            ends = [end for _, end in self._pending.values() if end > since_s]
        return max(0.0, min(ends) - self.clock()) if ends else None


def retry_delay_s(failed_in_a_row: int, first_s: float, longest_s: float, jitter: float) -> float:
    """Return the delay before a retry: it doubles with each failure up to a bound, times a jitter.

    Args:
        failed_in_a_row: How often it has failed, from 1.
        first_s: Delay after the first failure.
        longest_s: The bound.
        jitter: A factor around 1.

    Returns:
        Seconds.
    """
    doublings = min(failed_in_a_row - 1, _MOST_DOUBLINGS)
    return float(min(longest_s, first_s * 2**doublings) * jitter)
