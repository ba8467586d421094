"""Detects an index that sends too slowly; a silent or slow-starting index does not count.

uv's own time-outs end a silent download. They never end one that receives a few bytes each second, which
would keep everything else waiting for days.
"""

from dataclasses import dataclass, field

DEFAULT_BYTES_PER_S = 1_000
DEFAULT_WINDOW_S = 30.0
_LOOKS_PER_WINDOW = 10
_LONGEST_BETWEEN_LOOKS_S = 1.0
# A longer silence is the time that a mirror takes to begin, and is not counted…
_SILENCES_PER_WINDOW = 3
# …unless there was hardly anything but silence for so long.
_WINDOWS_OF_SILENCE = 10


@dataclass(frozen=True, slots=True)
class LeastRate:
    """The least rate of a download.

    Attributes:
        bytes_per_s: The rate below which a download is too slow.
        window_s: The time for which it must be too slow.
    """

    bytes_per_s: int = DEFAULT_BYTES_PER_S
    window_s: float = DEFAULT_WINDOW_S

    @property
    def look_s(self) -> float:
        """Time between two looks."""
        return min(_LONGEST_BETWEEN_LOOKS_S, self.window_s / _LOOKS_PER_WINDOW)


@dataclass(frozen=True, slots=True)
class Slowness:
    """The figures of a download that is too slow.

    Attributes:
        received_bytes: Number of bytes that arrived.
        seconds: The time in which they arrived.
    """

    received_bytes: int
    seconds: float

    def __str__(self) -> str:
        """Return the figures in words."""
        rate = self.received_bytes / self.seconds
        return f"{self.received_bytes:,} bytes in {self.seconds:.1f} s ({rate:,.0f} a second)"


@dataclass(slots=True)
class RateWatch:
    """Judges one download by the number of bytes at certain times. It has no clock and does not wait.

    Attributes:
        least: The least rate.
    """

    least: LeastRate
    _arrivals: list[tuple[float, int]] = field(default_factory=list)  # when a look saw more, and how much

    def look(self, now_s: float, total_bytes: int) -> Slowness | None:
        """Note the number of bytes so far, and judge the download.

        It may be called for each packet: looks that follow each other sooner than half of `look_s` are one.

        Args:
            now_s: Time of a clock that never goes back.
            total_bytes: Bytes since the beginning.

        Returns:
            The figures if it is too slow, else None.
        """
        arrivals = self._arrivals
        # Each look goes through all that were noted, so their number must not grow with that of the packets.
        if arrivals and now_s - arrivals[-1][0] < self.least.look_s / 2:
            return None
        if not arrivals or total_bytes > arrivals[-1][1]:
            arrivals.append((now_s, total_bytes))
        window_s, rate = self.least.window_s, self.least.bytes_per_s
        counted_s, later_s = 0.0, now_s
        for number in range(len(arrivals) - 1, -1, -1):
            time_s, bytes_before = arrivals[number]
            gap_s, later_s = later_s - time_s, time_s
            counted_s += gap_s if gap_s <= window_s / _SILENCES_PER_WINDOW else 0.0
            all_s, received = now_s - time_s, total_bytes - bytes_before
            long_enough = counted_s >= window_s or all_s >= window_s * _WINDOWS_OF_SILENCE
            if long_enough:
                del arrivals[:number]
                seconds = counted_s if counted_s >= window_s else all_s
                budget = rate * (max(counted_s, window_s))
                # Without any byte a download is not slow: uv ends it, or is unpacking.
                return Slowness(received, seconds) if 0 < received < budget else None
        return None
