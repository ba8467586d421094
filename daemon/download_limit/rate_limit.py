"""A limit in bytes a second that many downloads share."""

import math
import re
from dataclasses import dataclass, field

_RATE = re.compile(r"(?P<number>[0-9]{1,15}(?:\.[0-9]+)?)(?:(?P<unit>[kKMG])B?)?")
_UNITS = {None: 1, "k": 1_000, "K": 1_000, "M": 1_000_000, "G": 1_000_000_000}
# uv gives a download up that brings nothing for half a minute, and has up to fifty at once.
SLOWEST_BYTES_PER_S = 10_000
_BURST_S = 0.1
_CHUNKS_PER_S = 50
_CHUNK_BYTES = (1_024, 65_536)


@dataclass(slots=True)
class RateLimit:
    """A token bucket: no more passes in any time than the rate allows for it and a tenth of a second more.

    It knows no clock and does not wait: who passes bytes on asks how long to wait before.

    Attributes:
        bytes_per_s: The rate.
    """

    bytes_per_s: int
    _free_s: float = field(default=-math.inf, repr=False)

    @property
    def burst_bytes(self) -> int:
        """How much may pass at once after a pause."""
        return int(self.bytes_per_s * _BURST_S)

    @property
    def chunk_bytes(self) -> int:
        """How much to pass in one go, so that many downloads take turns and none starves."""
        low, high = _CHUNK_BYTES
        return min(high, max(low, self.bytes_per_s // _CHUNKS_PER_S))

    def delay_s(self, size_bytes: int, now_s: float) -> float:
        """Count bytes that are about to pass.

        Args:
            size_bytes: How many.
            now_s: Time of a clock that never goes back.

        Returns:
            How long to wait before they pass; in the order of the calls, each has its turn.
        """
        self._free_s = max(self._free_s, now_s - _BURST_S) + size_bytes / self.bytes_per_s
        return max(0.0, self._free_s - now_s)


def parse_rate(text: str, least: int = SLOWEST_BYTES_PER_S) -> int:
    """Read bytes a second: `50M`, `1.5MB`, `800k`, `2000000`; a thousand is 1000.

    Args:
        text: What somebody wrote.
        least: The lowest that may be.

    Returns:
        The rate.

    Raises:
        ValueError: It is none of these, or too slow to download anything.
    """
    found = _RATE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no number of bytes a second, such as 50M, 800k or 2000000")
    rate = int(float(found["number"]) * _UNITS[found["unit"]])
    if rate < least:
        raise ValueError(f"{text!r} is less than {least // 1000}k: uv would give up each download")
    return rate
