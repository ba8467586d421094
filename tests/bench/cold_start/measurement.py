"""The measurements of one case, and their summary over rounds."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Sample:
    """One round of a case.

    Attributes:
        wall_s: Seconds from the order to `import torch` done.
        wire_bytes: Bytes that the node received meanwhile.
        disk_bytes: Bytes on the node's disk afterwards.
        detail: Where the time went.
    """

    wall_s: float
    wire_bytes: int
    disk_bytes: int
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """A case at one bandwidth.

    Attributes:
        key: Its letter.
        what: What the node has and does.
        gbit_per_s: The bandwidth, in 10^9 bits.
        samples: The rounds.
    """

    key: str
    what: str
    gbit_per_s: float
    samples: Sequence[Sample] = field(default_factory=tuple)

    @property
    def wall_s(self) -> float:
        """The median of the wall times."""
        return statistics.median(sample.wall_s for sample in self.samples)

    @property
    def wire_bytes(self) -> int:
        """The median of the bytes received."""
        return round(statistics.median(sample.wire_bytes for sample in self.samples))

    @property
    def disk_bytes(self) -> int:
        """The median of the bytes on the disk."""
        return round(statistics.median(sample.disk_bytes for sample in self.samples))

    @property
    def line_s(self) -> float:
        """Seconds that the bytes take on the line alone."""
        return self.wire_bytes / bytes_per_s(self.gbit_per_s)


def bytes_per_s(gbit_per_s: float) -> float:
    """Return a bandwidth in bytes."""
    return gbit_per_s * 1e9 / 8
