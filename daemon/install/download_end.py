"""Detects when a call of uv no longer makes use of the network, so that the next one can begin.

uv prints nothing while it downloads; what it has received so far is known several times a second
(`daemon/uv/received_bytes.py`).
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from daemon.host.idle_time import IdleTime

# An index may limit each of its connections. Then the link could carry more as soon as few are left.
_SLOW_SHARE = 0.5  # of the best rate
_SLOW_REPORTS = 4  # in a row, a second in all
_IDLE_SHARE = 0.25  # of the processors: with less, they are the limit, and a second call would slow the first
_UNSEEN_SHARE = 0.02  # of all bytes: what came over a connection just before it was closed is not counted


@dataclass(slots=True)
class DownloadEnd:
    """The end of the downloads of one call of uv.

    Attributes:
        total_bytes: What the call downloads.
        idle_share: Returns which part of the time since the last report the processors were idle.
        near: Set when the rest is expected before the next report, or when it comes slowly for a second
            though processors are idle.
    """

    total_bytes: int
    idle_share: Callable[[], float] = field(default_factory=lambda: IdleTime().share)
    near: threading.Event = field(default_factory=threading.Event)
    _received_bytes: int = 0
    _best_bytes: int = 0
    _slow_reports: int = 0

    def received(self, count: int) -> None:
        """Note the bytes that have been received so far; called at regular intervals."""
        new, self._received_bytes = count - self._received_bytes, count
        self._best_bytes = max(self._best_bytes, new)
        is_slow = self.idle_share() >= _IDLE_SHARE and new < _SLOW_SHARE * self._best_bytes
        self._slow_reports = self._slow_reports + 1 if is_slow else 0
        left_bytes = self.total_bytes * (1 - _UNSEEN_SHARE) - count
        if left_bytes <= new or self._slow_reports >= _SLOW_REPORTS:
            self.near.set()
