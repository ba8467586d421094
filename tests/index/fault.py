"""Faults in the answers of an index, and the requests that they affect."""

import enum
import fnmatch
import threading
from dataclasses import dataclass


class FaultKind(enum.Enum):
    """A fault in an answer."""

    RESET = "the connection is reset"
    STALL = "no more bytes come, the connection stays open"
    DRIP = "bytes come slowly"
    STATUS = "an error status"
    TRUNCATE = "the connection closes before the announced length"
    CORRUPT = "one byte differs, the length is right"
    SUBSTITUTE = "another content"
    LATENCY = "the answer starts late"


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault and the requests that it strikes; made by the functions of this module.

    Attributes:
        kind: What goes wrong.
        path: Pattern (as of a shell) of the percent-decoded paths that it strikes.
        times: How many requests it strikes, None for all.
        skip: How many requests that match are spared first.
        after_bytes: How many bytes of the body go out before it strikes.
        status: Status of the answer, for ``STATUS``.
        bytes_per_s: Rate, for ``DRIP``.
        delay_s: Seconds for which ``STALL`` holds the connection and ``LATENCY`` the answer.
        content: Body, for ``SUBSTITUTE``.
    """

    kind: FaultKind
    path: str = "*"
    times: int | None = 1
    skip: int = 0
    after_bytes: int = 0
    status: int = 500
    bytes_per_s: int = 0
    delay_s: float = 0.0
    content: bytes = b""

    def matches(self, path: str) -> bool:
        """Return whether a path is one that the fault is for."""
        return fnmatch.fnmatchcase(path, self.path)


def reset(path: str = "*", *, times: int | None = 1, skip: int = 0, after_bytes: int = 0) -> Fault:
    """Reset the connection (RST) after so many bytes of the body; with 0, before the status line."""
    return Fault(FaultKind.RESET, path, times, skip, after_bytes)


def stall(
    path: str = "*", *, delay_s: float, times: int | None = 1, skip: int = 0, after_bytes: int = 0
) -> Fault:
    """Send so many bytes of the body, then nothing for ``delay_s`` seconds, then cut the connection."""
    return Fault(FaultKind.STALL, path, times, skip, after_bytes, delay_s=delay_s)


def drip(path: str = "*", *, bytes_per_s: int, times: int | None = 1, skip: int = 0) -> Fault:
    """Send the body at a low rate."""
    return Fault(FaultKind.DRIP, path, times, skip, bytes_per_s=bytes_per_s)


def status(path: str = "*", *, code: int, times: int | None = 1, skip: int = 0) -> Fault:
    """Answer with an error status: 500 once is a hiccup, 404 for ever a file that the index lost."""
    return Fault(FaultKind.STATUS, path, times, skip, status=code)


def truncate(path: str = "*", *, after_bytes: int, times: int | None = 1, skip: int = 0) -> Fault:
    """Announce the right length, send so many bytes and close the connection in good order."""
    return Fault(FaultKind.TRUNCATE, path, times, skip, after_bytes)


def corrupt(path: str = "*", *, times: int | None = 1, skip: int = 0) -> Fault:
    """Send the right length with one byte changed, in the middle of the body."""
    return Fault(FaultKind.CORRUPT, path, times, skip)


def substitute(path: str, content: bytes, *, times: int | None = 1, skip: int = 0) -> Fault:
    """Send another content in place of the body, well-formed as far as HTTP goes."""
    return Fault(FaultKind.SUBSTITUTE, path, times, skip, content=content)


def latency(path: str = "*", *, delay_s: float, times: int | None = None, skip: int = 0) -> Fault:
    """Start the answer late."""
    return Fault(FaultKind.LATENCY, path, times, skip, delay_s=delay_s)


class FaultQueue:
    """The faults that are in force; the first one that matches a request strikes it."""

    def __init__(self) -> None:
        self._pending: list[_Pending] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Put a fault in force, behind the ones that are."""
        with self._lock:
            self._pending.append(_Pending(fault, fault.skip, fault.times))

    def remove(self, fault: Fault) -> None:
        """Lift a fault, whether it has struck or not."""
        with self._lock:
            self._pending = [pending for pending in self._pending if pending.fault is not fault]

    def take(self, path: str) -> Fault | None:
        """Return the fault that strikes a request, and count it."""
        with self._lock:
            for pending in self._pending:
                if not pending.fault.matches(path) or pending.times_left == 0:
                    continue
                if pending.skips_left:
                    pending.skips_left -= 1
                    continue
                if pending.times_left is not None:
                    pending.times_left -= 1
                return pending.fault
        return None


@dataclass(slots=True)
class _Pending:
    """A fault and what is left of its counts."""

    fault: Fault
    skips_left: int
    times_left: int | None
