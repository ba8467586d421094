"""Retries requests that failed temporarily, with growing pauses."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from image.errors import TransientError

Result = TypeVar("Result")

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
# If a registry asks for a longer pause, the push fails: a person decides.
_LONGEST_ASKED_S = 300.0


@dataclass(slots=True)
class Patience:
    """Consecutive failures of one piece of work.

    Attributes:
        retries: Number of consecutive failures that are retried.
        told: Called with the error and the seconds until the next try.
        sleep: Waits for a number of seconds.
        failures: Number of failures since the last progress.
    """

    retries: int
    told: Callable[[TransientError, float], None]
    sleep: Callable[[float], None] = time.sleep
    failures: int = 0

    def progress(self) -> None:
        """Record progress: the count starts again."""
        self.failures = 0

    def bear(self, error: TransientError) -> None:
        """Wait before the next try, twice as long each time, or as long as the registry asks.

        Args:
            error: The failure.

        Raises:
            TransientError: There were too many failures, or the registry asks for more than five minutes.
        """
        self.failures += 1
        asked_s = error.retry_after_s or 0.0
        if self.failures > self.retries or asked_s > _LONGEST_ASKED_S:
            raise error
        pause_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** (self.failures - 1))
        # Uploads that failed together must not all retry at the same moment.
        pause_s = max(asked_s, pause_s * random.uniform(0.75, 1.25))  # noqa: S311 (no secret)
        self.told(error, pause_s)
        self.sleep(pause_s)


def persist(action: Callable[[], Result], patience: Patience) -> Result:
    """Run an action, and repeat it after temporary failures.

    Args:
        action: The action; it may run several times.
        patience: The limit of retries.

    Returns:
        The result of the action.

    Raises:
        TransientError: It failed too often.
    """
    while True:
        try:
            return action()
        except TransientError as error:
            patience.bear(error)
