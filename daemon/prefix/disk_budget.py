"""The disk budget of a prefix: how many bytes it may take, and how many must stay free beside it."""

import os
import re
from dataclasses import dataclass

from daemon.prefix.prefix import Prefix
from daemon.prefix.usage import disk_bytes

_AMOUNT = re.compile(r"(?P<number>[0-9]{1,15}(?:\.[0-9]+)?)(?P<unit>%|(?:[kKMGT]i?)?B?)")
_UNITS = {
    "": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12,
    "ki": 2**10, "Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40,
}  # fmt: skip
_LEAST_BYTES = 1_000_000


@dataclass(frozen=True, slots=True)
class Amount:
    """A number of bytes, or a share of the file system.

    Attributes:
        text: As it was given: `300G`, `60%`.
        size_bytes: The bytes; 0 for a share.
        share: The share, above 0 and at most 1; 0 for a number of bytes.
    """

    text: str
    size_bytes: int = 0
    share: float = 0.0

    def of(self, total_bytes: int) -> int:
        """Return the bytes on a file system of a size."""
        return round(total_bytes * self.share) if self.share else self.size_bytes


def parse_amount(text: str) -> Amount:
    """Parse a number of bytes, or a share: `300G`, `1.5T`, `280Gi`, `60%`; `G` is 10^9 and `Gi` is 2^30.

    Raises:
        ValueError: The text is neither, or the amount makes no sense.
    """
    found = _AMOUNT.fullmatch(text.strip())
    if found is None:
        raise ValueError(
            f"{text!r} is neither a number of bytes, such as 300G or 280Gi, nor a share, such as 60%"
        )
    number = float(found["number"])
    if found["unit"] == "%":
        if not 0 < number <= 100:
            raise ValueError(f"{text!r} is not a share of the disk: it is above 0% and at most 100%")
        return Amount(text.strip(), share=number / 100)
    size_bytes = int(number * _UNITS[found["unit"].removesuffix("B")])
    if size_bytes < _LEAST_BYTES:
        raise ValueError(f"{text!r} is less than 1M; give a unit, such as 300G")
    return Amount(text.strip(), size_bytes)


@dataclass(frozen=True, slots=True)
class DiskBudget:
    """The limits that an operator has set; where there are both, the lower one counts.

    Attributes:
        most: The most that the prefix may take.
        keep_free: What must stay free on its file system.
    """

    most: Amount | None = None
    keep_free: Amount | None = None

    def __str__(self) -> str:
        """The options that set it."""
        given = (("--disk-budget", self.most), ("--keep-free", self.keep_free))
        return " ".join(f"{flag} {amount.text}" for flag, amount in given if amount is not None)

    @property
    def is_set(self) -> bool:
        """True if there is a limit."""
        return self.most is not None or self.keep_free is not None

    def limit_bytes(self, size_bytes: int, free_bytes: int, used_bytes: int) -> int:
        """Return the most bytes that the prefix may take now.

        Args:
            size_bytes: Size of the file system.
            free_bytes: Bytes that are free on it.
            used_bytes: Bytes that the prefix takes.
        """
        limits = [used_bytes + free_bytes]
        if self.most is not None:
            limits.append(self.most.of(size_bytes))
        if self.keep_free is not None:
            limits.append(used_bytes + free_bytes - self.keep_free.of(size_bytes))
        return max(0, min(limits))


NO_BUDGET = DiskBudget()


@dataclass(frozen=True, slots=True)
class BudgetUse:
    """The use of a budget.

    Attributes:
        limit_bytes: The most bytes that the prefix may take.
        used_bytes: Bytes that it takes, each inode once.
        free_bytes: Bytes that are free on its file system.
    """

    limit_bytes: int
    used_bytes: int
    free_bytes: int

    @property
    def is_below_disk(self) -> bool:
        """True if the budget allows less than the disk holds."""
        return self.limit_bytes < self.used_bytes + self.free_bytes

    def over_bytes(self, need_bytes: int = 0) -> int:
        """Return the bytes that have to go before further ones fit; 0 when they fit."""
        return max(0, self.used_bytes + need_bytes - self.limit_bytes)


def read_budget_use(prefix: Prefix, budget: DiskBudget, used_bytes: int | None = None) -> BudgetUse:
    """Compare a prefix with its budget.

    Args:
        prefix: The prefix; it exists.
        budget: The budget.
        used_bytes: Bytes that the prefix takes, if they were counted since it last changed.

    Raises:
        OSError: The prefix cannot be read.
    """
    used = disk_bytes(prefix.root) if used_bytes is None else used_bytes
    room = os.statvfs(prefix.root)
    size_bytes, free_bytes = room.f_blocks * room.f_frsize, room.f_bavail * room.f_frsize
    return BudgetUse(budget.limit_bytes(size_bytes, free_bytes, used), used, free_bytes)
