"""The limit in bytes per second that many downloads share."""

import math
import re
from dataclasses import dataclass, field

_RATE = re.compile(r"(?P<number>[0-9]{1,15}(?:\.[0-9]+)?)(?:(?P<unit>[kKMG])B?)?")
_UNITS = {None: 1, "k": 1_000, "K": 1_000, "M": 1_000_000, "G": 1_000_000_000}
# uv ends a download that receives nothing for 30 s, and runs up to 50 at once.
SLOWEST_BYTES_PER_S = 10_000
_BURST_S = 0.1
_CHUNKS_PER_S = 50
_CHUNK_BYTES = (1_024, 65_536)


@dataclass(slots=True)
class RateLimit:
    """A token bucket: in any span of time, at most what the rate allows for it plus 0.1 s may pass.

    It reads no clock and does not wait: the caller asks how long to wait before it passes bytes on.

    Attributes:
        bytes_per_s: The rate.
    """

    bytes_per_s: int
    _free_s: float = field(default=-math.inf, repr=False)

    @property
    def burst_bytes(self) -> int:
        """Number of bytes that may pass at once after a pause."""
        return int(self.bytes_per_s * _BURST_S)

    @property
    def chunk_bytes(self) -> int:
        """Number of bytes to pass in one step: small enough for all downloads to take turns."""
        low, high = _CHUNK_BYTES
        return min(high, max(low, self.bytes_per_s // _CHUNKS_PER_S))

    def delay_s(self, size_bytes: int, now_s: float) -> float:
        """Count bytes that are about to pass.

        Args:
            size_bytes: Their number.
            now_s: Time of a monotonic clock.

        Returns:
            Seconds to wait before they pass. Calls get their turns in order.
        """
        self._free_s = max(self._free_s, now_s - _BURST_S) + size_bytes / self.bytes_per_s
        return max(0.0, self._free_s - now_s)


def parse_rate(text: str, least: int = SLOWEST_BYTES_PER_S) -> int:
    """Parse a rate in bytes per second: `50M`, `1.5MB`, `800k`, `2000000`; `k` is 1000.

    Args:
        text: The text.
        least: The lowest rate that is accepted.

    Raises:
        ValueError: The text is not a rate, or the rate is too low.
    """
    found = _RATE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a number of bytes per second, such as 50M, 800k or 2000000")
    rate = int(float(found["number"]) * _UNITS[found["unit"]])
    if rate < least:
        raise ValueError(f"{text!r} is less than {least // 1000}k: uv would end each download as stalled")
    return rate
