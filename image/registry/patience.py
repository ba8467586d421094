"""How long a push bears with a registry that fails in a way that may pass by itself."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from image.errors import TransientError

Result = TypeVar("Result")

_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 30.0
# A registry that asks for more is not waited for: a person decides.
_LONGEST_ASKED_S = 300.0


@dataclass(slots=True)
class Patience:
    """The failures of one piece of work in a row.

    Attributes:
        retries: How many failures in a row are borne with.
        told: Hears what failed and the seconds until the next try.
        sleep: Waits for a number of seconds.
        failures: How many there were since the work last got ahead.
    """

    retries: int
    told: Callable[[TransientError, float], None]
    sleep: Callable[[float], None] = time.sleep
    failures: int = 0

    def progress(self) -> None:
        """Tell that the work got ahead: the count starts again."""
        self.failures = 0

    def bear(self, error: TransientError) -> None:
        """Wait before the next try: twice as long each time, or as long as the registry asks.

        Args:
            error: What failed.

        Raises:
            TransientError: It was once too often, or the registry asks for more than five minutes.
        """
        self.failures += 1
        asked_s = error.retry_after_s or 0.0
        if self.failures > self.retries or asked_s > _LONGEST_ASKED_S:
            raise error
        pause_s = min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2 ** (self.failures - 1))
        # Several uploads that one fault broke should not all come back at once.
        pause_s = max(asked_s, pause_s * random.uniform(0.75, 1.25))  # noqa: S311 (no secret)
        self.told(error, pause_s)
        self.sleep(pause_s)


def persist(action: Callable[[], Result], patience: Patience) -> Result:
    """Do something, again where that may help.

    Args:
        action: What is done; it may be done several times.
        patience: How often.

    Returns:
        What the action returned.

    Raises:
        TransientError: It failed once too often.
    """
    while True:
        try:
            return action()
        except TransientError as error:
            patience.bear(error)
