"""Keeps the progress file up to date while an install runs, for the models that wait for it."""

import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field

from daemon.install.wanted import Wanted
from daemon.prefix.prefix import Prefix
from daemon.prefix.progress_file import ProgressLine, remove_progress, write_progress

_INTERVAL_S = 1.0


@dataclass(slots=True)
class InstallProgress:
    """The progress of one install. Thread-safe.

    A file that cannot be written stops no install: the disk may be full, and the install itself reports that.

    Attributes:
        prefix: The prefix.
    """

    prefix: Prefix
    _current: list[Wanted] = field(default_factory=list)
    _queued: list[Wanted] = field(default_factory=list)
    _stage: str = "queued"
    _arrived_bytes: int = 0
    _total_bytes: int = 0
    _received_bytes: dict[str, int] = field(default_factory=dict)
    _written_s: float = 0.0
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, current: Iterable[Wanted], queued: Iterable[Wanted]) -> None:
        """Begin a batch; `queued` is installed after it."""
        with self._guard:
            self._current, self._queued = list(current), list(queued)
            self._start_counting(0)

    def enter(self, stage: str, total_bytes: int | None = None) -> None:
        """Note that a stage of the batch begins, and the bytes that it has to download."""
        with self._guard:
            self._stage = stage
            if total_bytes is not None:
                self._start_counting(total_bytes)
            self._write()

    def arrived(self, count: int) -> None:
        """Note that a wheel of so many bytes is in uv's cache."""
        with self._guard:
            self._arrived_bytes += count
            self._write_sometimes()

    def received(self, call: str, count: int) -> None:
        """Note the bytes that a call of uv has received so far, of whatever wheels."""
        with self._guard:
            self._received_bytes[call] = count
            self._write_sometimes()

    def end(self) -> None:
        """Remove the file: nothing is being installed."""
        with self._guard, suppress(OSError):
            remove_progress(self.prefix)

    def _start_counting(self, total_bytes: int) -> None:
        self._arrived_bytes, self._total_bytes = 0, total_bytes
        self._received_bytes.clear()

    def _write_sometimes(self) -> None:
        if time.monotonic() - self._written_s >= _INTERVAL_S:
            self._write()

    def _write(self) -> None:
        total = self._total_bytes
        done = min(total, max(self._arrived_bytes, sum(self._received_bytes.values())))
        lines = [_line(item, self._stage, done, total) for item in self._current]
        lines += [_line(item, "queued", 0, 0) for item in self._queued]
        with suppress(OSError):
            write_progress(self.prefix, lines)
        self._written_s = time.monotonic()


def _line(item: Wanted, stage: str, done_bytes: int, total_bytes: int) -> ProgressLine:
    return ProgressLine(item.generation.directory_name, item.target.name, stage, done_bytes, total_bytes)
