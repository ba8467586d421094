"""Watches a running uv, and ends one that downloads too slowly, prints without end, or waits for a model."""

import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from daemon.errors import SlowIndexError
from daemon.host.broken_lease import waits_for_a_lease
from daemon.uv.least_rate import LeastRate, RateWatch, Slowness
from daemon.uv.received_bytes import ReceivedBytes
from gens.errors import MonobaseError

_KEPT_BYTES = 65_536  # of each end of a log, which may be of any length
_LOG_BYTES = 64 * 1024 * 1024
_LOOK_S = 1.0
_COUNT_S = 0.25
_COUNT_SHARE = 20  # of a processor, at most one part in so many goes to counting


class CallWatch:
    """Watches one process, and kills it if it downloads too slowly, prints without end, or waits for a model.

    Args:
        log: The file of its standard error; None for a pipe.
        least: The least rate of its downloads; None for no limit.
        received: Called with the bytes that it has received so far, several times a second.

    Attributes:
        reason: Why it was killed, where no second try would end better; else None.
        is_held_up: Whether it was killed as a model held a lease on a file that it had just made. Made anew,
            that file is another one.
    """

    def __init__(
        self, log: Path | None, least: LeastRate | None, received: Callable[[int], None] | None = None
    ) -> None:
        self._log = log
        self._log_begin = 0 if log is None else log.stat().st_size
        self._rate = None if least is None else RateWatch(least)
        self._received = received
        self._look_s = _LOOK_S if least is None else least.look_s
        self._counted_s = 0.0
        self._over = threading.Event()
        self._thread: threading.Thread | None = None
        self.reason: MonobaseError | None = None
        self.is_held_up = False

    def note(self, process: "subprocess.Popen[bytes]", runs: bool) -> None:
        """Begin to watch when the process has started, and end when it has ended."""
        if not runs:
            self._over.set()
            if self._thread is not None:
                self._thread.join()
        else:
            self._thread = threading.Thread(target=self._watch, args=(process,), daemon=True)
            self._thread.start()

    def read_log(self) -> str:
        """Return the beginning and the end of its log."""
        if self._log is None:
            return ""
        with self._log.open("rb") as file:
            file.seek(self._log_begin)
            begin = file.read(_KEPT_BYTES)
            file.seek(max(file.tell(), self._log.stat().st_size - _KEPT_BYTES))
            return (begin + file.read(_KEPT_BYTES)).decode(errors="replace")

    def _watch(self, process: "subprocess.Popen[bytes]") -> None:
        received = ReceivedBytes(process.pid)
        waited = False
        due_s = time.monotonic() + self._look_s
        pause_s = self._look_s if self._received is None else min(self._look_s, _COUNT_S)
        while self.reason is None and not self.is_held_up and not self._over.wait(pause_s):
            is_due = time.monotonic() >= due_s
            total = self._count(received) if is_due or self._received is not None else None
            if self._received is not None:
                pause_s = min(self._look_s, max(_COUNT_S, _COUNT_SHARE * self._counted_s))
            if not is_due:
                continue
            due_s = time.monotonic() + self._look_s
            self.reason = self._look(total)
            # Twice: a lease that is given up at once holds up nobody.
            waits = waits_for_a_lease(process.pid)
            waited, self.is_held_up = waits, waits and waited
        if self.reason is not None or self.is_held_up:
            process.kill()

    def _count(self, received: ReceivedBytes) -> int | None:
        """Return what was received, and report it; a machine with many connections takes long to count."""
        if self._rate is None and self._received is None:
            return None
        began_s = time.thread_time()
        total = received.total()
        self._counted_s = time.thread_time() - began_s
        if self._received is not None and total is not None:
            self._received(total)
        return total

    def _look(self, total: int | None) -> MonobaseError | None:
        said = 0 if self._log is None else self._log.stat().st_size - self._log_begin
        if said > _LOG_BYTES:
            return MonobaseError(f"uv prints without end: {said:,} bytes so far; run the same command again")
        slow = None if self._rate is None or total is None else self._rate.look(time.monotonic(), total)
        return None if self._rate is None or slow is None else _too_slow(slow, self._rate.least)


def _too_slow(slow: Slowness, least: LeastRate) -> SlowIndexError:
    return SlowIndexError(
        f"the index is too slow: it sent {slow}, and --min-download-rate asks for {least.bytes_per_s:,} a "
        f"second over --min-download-window {least.window_s:g}; name a faster index, or set them lower "
        "(0 for no least rate)"
    )
