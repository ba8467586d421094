"""Detects when a call of uv no longer makes use of the network, so that the next one can begin.

uv prints nothing while it downloads; what it has received so far is known several times a second
(`daemon/uv/received_bytes.py`).
"""

import threading
from dataclasses import dataclass, field

_LEAST_SHARE = 0.5  # of the best rate: below, the index or the processor is the limit, and not the link


@dataclass(slots=True)
class DownloadEnd:
    """The end of the downloads of one call of uv.

    Attributes:
        total_bytes: What the call downloads.
        near: Set when the rest is expected before the next report, or when it comes at less than half of the
            best rate: twice in a row, as a new download begins slowly.
    """

    total_bytes: int
    near: threading.Event = field(default_factory=threading.Event)
    _received_bytes: int = 0
    _best_bytes: int = 0
    _was_slow: bool = False

    def received(self, count: int) -> None:
        """Note the bytes that have been received so far; called at regular intervals."""
        new, self._received_bytes = count - self._received_bytes, count
        self._best_bytes = max(self._best_bytes, new)
        is_slow = new < _LEAST_SHARE * self._best_bytes
        if self.total_bytes - count <= new or (is_slow and self._was_slow):
            self.near.set()
        self._was_slow = is_slow
