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
class _Download:
    """The bytes of one fetch."""

    total_bytes: int
    arrived_bytes: int = 0
    received_bytes: dict[str, int] = field(default_factory=dict)

    @property
    def done_bytes(self) -> int:
        """The bytes that have come, as far as is known."""
        return min(self.total_bytes, max(self.arrived_bytes, sum(self.received_bytes.values())))


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
    _stages: dict[str, tuple[str, "_Download"]] = field(default_factory=dict)
    _download: "_Download" = field(default_factory=lambda: _Download(0))
    _written_s: float = 0.0
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, current: Iterable[Wanted], queued: Iterable[Wanted]) -> None:
        """Begin a batch; `queued` is installed after it."""
        with self._guard:
            self._current, self._queued = list(current), list(queued)
            self._stages.clear()
            self._download = _Download(0)

    def enter(
        self, stage: str, total_bytes: int | None = None, items: Iterable[Wanted] | None = None
    ) -> None:
        """Note that a stage begins.

        Args:
            stage: Its name.
            total_bytes: The bytes that it has to download; None for a stage that downloads nothing.
            items: What of the batch has come so far; None for all of it.
        """
        with self._guard:
            if total_bytes is not None:
                self._download = _Download(total_bytes)
            for item in self._current if items is None else items:
                _, download = self._stages.get(item.label, (stage, self._download))
                self._stages[item.label] = (stage, self._download if total_bytes is not None else download)
            self._write()

    def leave(self, items: Iterable[Wanted]) -> None:
        """Note that some of the batch can be used, though the rest is still being installed."""
        gone = {item.label for item in items}
        with self._guard:
            self._current = [item for item in self._current if item.label not in gone]
            self._write()

    def arrived(self, count: int) -> None:
        """Note that a wheel of so many bytes is in uv's cache."""
        with self._guard:
            self._download.arrived_bytes += count
            self._write_sometimes()

    def received(self, call: str, count: int) -> None:
        """Note the bytes that a call of uv has received so far, of whatever wheels."""
        with self._guard:
            self._download.received_bytes[call] = count
            self._write_sometimes()

    def end(self) -> None:
        """Remove the file: nothing is being installed."""
        with self._guard, suppress(OSError):
            remove_progress(self.prefix)

    def _write_sometimes(self) -> None:
        if time.monotonic() - self._written_s >= _INTERVAL_S:
            self._write()

    def _write(self) -> None:
        lines = []
        for item in self._current:
            stage, download = self._stages.get(item.label, ("queued", _Download(0)))
            lines.append(_line(item, stage, download.done_bytes, download.total_bytes))
        lines += [_line(item, "queued", 0, 0) for item in self._queued]
        with suppress(OSError):
            write_progress(self.prefix, lines)
        self._written_s = time.monotonic()


def _line(item: Wanted, stage: str, done_bytes: int, total_bytes: int) -> ProgressLine:
    return ProgressLine(item.generation.directory_name, item.target.name, stage, done_bytes, total_bytes)
