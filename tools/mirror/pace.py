"""The progress, the retries and the end of a run, for all its threads."""

import threading
from dataclasses import dataclass, field

from gens.progress import Bar
from image.errors import TransientError
from image.registry.patience import Patience


class StoppedError(Exception):
    """The run has ended elsewhere: this thread stops."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Shows progress and retries, and stops threads that wait.

    Attributes:
        bar: Shows the progress.
        retries: Number of consecutive failures that are retried.
        stop: Set after a failure of the run.
    """

    bar: Bar
    retries: int
    stop: threading.Event = field(default_factory=threading.Event)

    def advance(self, count: int) -> None:
        """Add to the bytes that are done; the number is negative if some are dropped.

        Raises:
            StoppedError: The run has failed.
        """
        if self.stop.is_set():
            raise StoppedError
        self.bar.advance(count)

    def patience(self) -> Patience:
        """Return the limit of retries of one piece of work."""
        return Patience(self.retries, self._told, self._pause)

    def _told(self, error: TransientError, pause_s: float) -> None:
        self.bar.print(f"{error}; again in {pause_s:.1f} s")

    def _pause(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            raise StoppedError
