"""Measures how much of the time the machine's processors had nothing to do (proc_stat(5))."""

from dataclasses import dataclass
from pathlib import Path

_STAT = Path("/proc/stat")
_IDLE = slice(3, 5)  # idle, and idle while a disk works
_COUNTED = 8  # further ones are part of these


@dataclass(slots=True)
class IdleTime:
    """The idle time of the processors, from one look to the next.

    Attributes:
        stat: The file of the kernel.
    """

    stat: Path = _STAT
    _idle: int = 0
    _total: int = 0

    def share(self) -> float:
        """Return the idle part of the time since the last look, 0 to 1; the first is since the start."""
        counts = [int(word) for word in self.stat.read_text().split("\n", 1)[0].split()[1 : _COUNTED + 1]]
        idle, total = sum(counts[_IDLE]), sum(counts)
        new_idle, new_total = idle - self._idle, total - self._total
        self._idle, self._total = idle, total
        return new_idle / new_total if new_total > 0 else 0.0
