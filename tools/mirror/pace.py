"""The progress, the retries and the end of a run, for all its threads."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from rich.filesize import decimal

from gens.progress import Bar
from image.errors import TransientError
from image.registry.patience import Patience

_LINE_EVERY_S = 30.0


class StoppedError(Exception):
    """The run has ended elsewhere: this thread stops."""


@dataclass(frozen=True, slots=True)
class Pace:
    """Shows progress and retries, and stops threads that wait.

    Without a terminal, such as in the log of a job, a line now and then says how far the run is.

    Attributes:
        bar: Shows the progress.
        retries: Number of consecutive failures that are retried.
        stop: Set after a failure of the run.
        now: A clock that never goes back.
    """

    bar: Bar
    retries: int
    stop: threading.Event = field(default_factory=threading.Event)
    now: Callable[[], float] = time.monotonic
    _due_s: list[float] = field(default_factory=list)

    def advance(self, count: int) -> None:
        """Add to the bytes that are done; the number is negative if some are dropped.

        Raises:
            StoppedError: The run has failed.
        """
        if self.stop.is_set():
            raise StoppedError
        self.bar.advance(count)
        now_s = self.now()
        if not self._due_s:
            self._due_s.append(now_s + _LINE_EVERY_S)
        elif now_s >= self._due_s[0] and not self.bar.on_terminal:
            self._due_s[0] = now_s + _LINE_EVERY_S
            self.bar.print(f"{decimal(self.bar.done)} of {decimal(self.bar.total or 0)}")

    def patience(self) -> Patience:
        """Return the limit of retries of one piece of work."""
        return Patience(self.retries, self._told, self._pause)

    def _told(self, error: TransientError, pause_s: float) -> None:
        self.bar.print(f"{error}; again in {pause_s:.1f} s")

    def _pause(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            raise StoppedError
