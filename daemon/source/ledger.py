"""Counts what each source sent and failed, and remembers which source is not asked for a while."""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from rich.filesize import decimal

from daemon.source.failure import REASONS, Reason, SourceFailure

# Each wheel would wait for the same time-out; and a source that is back should be used soon.
_REST_S = 30.0
_LONGEST_REST_S = 600.0
_RESTING: frozenset[Reason] = frozenset({"unreachable", "denied", "slow"})


@dataclass(frozen=True, slots=True)
class SourceCount:
    """The work of one source.

    Attributes:
        name: Name of the source.
        received_bytes: Bytes that it sent.
        failures: Its failures by reason.
    """

    name: str
    received_bytes: int
    failures: dict[Reason, int]


@dataclass(slots=True)
class Ledger:
    """The counts and the failures of all sources; for several threads.

    Attributes:
        names: Names of the sources, in their order.
        warn: Called with a text for each new failure.
        now: A clock that never goes back.
    """

    names: tuple[str, ...]
    warn: Callable[[str], None]
    now: Callable[[], float] = time.monotonic
    _received: Counter[str] = field(default_factory=Counter)
    _failures: Counter[tuple[str, Reason]] = field(default_factory=Counter)
    _resting: dict[str, tuple[float, SourceFailure]] = field(default_factory=dict)
    _wrong: dict[tuple[str, str], SourceFailure] = field(default_factory=dict)
    _unmixed: set[str] = field(default_factory=set)
    _found: set[str] = field(default_factory=set)  # digests of which somebody sent other bytes: not told yet
    _warned: set[tuple[str, str, Reason]] = field(default_factory=set)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def count(self, name: str, size_bytes: int) -> None:
        """Count bytes that a source sent."""
        with self._guard:
            self._received[name] += size_bytes
            self._resting.pop(name, None)
            for reason in _RESTING:
                self._warned.discard((name, "", reason))

    def fail(self, name: str, failure: SourceFailure, sha256: str, filename: str) -> None:
        """Count the failure of a source and report it once; let the source rest if another try would wait.

        Args:
            name: The source.
            failure: Its failure.
            sha256: Digest of the blob.
            filename: Name of the file.
        """
        with self._guard:
            self._failures[name, failure.reason] += 1
            if failure.reason == "wrong":
                self._wrong[name, sha256] = failure
                self._found.add(sha256)
            rests, rule = failure.reason in _RESTING, "this run does not ask it for this file again"
            if rests:
                rest_s = min(_LONGEST_REST_S, max(_REST_S, failure.wait_s or 0.0))
                self._resting[name] = (self.now() + rest_s, failure)
                rule = f"it is not asked again for {rest_s:.0f} s"
            subject = "" if rests else f"{filename}: "
            key = (name, subject, failure.reason)
            is_new = failure.reason not in {"cut", "absent"} and key not in self._warned
            self._warned.add(key)
        if is_new:
            self.warn(f"{name}: {subject}{failure.text}; {rule}")

    def refusal(self, name: str, sha256: str) -> SourceFailure | None:
        """Return why a source is not asked for a blob now; None if it is."""
        with self._guard:
            wrong = self._wrong.get((name, sha256))
            if wrong is not None:
                return wrong
            until_s, failure = self._resting.get(name, (0.0, None))
            if failure is None or self.now() < until_s:
                return failure
            del self._resting[name]
            return None

    def keep_apart(self, sha256: str) -> None:
        """Remember that a blob of parts of several sources was wrong: each is to send it alone."""
        with self._guard:
            self._unmixed.add(sha256)
            self._found.add(sha256)

    def take_found(self, sha256: str) -> bool:
        """Return whether a source was found to send other bytes of a blob since the last call for it."""
        with self._guard:
            found = sha256 in self._found
            self._found.discard(sha256)
            return found

    def is_kept_apart(self, sha256: str) -> bool:
        """Return whether a blob may have only parts of one source."""
        with self._guard:
            return sha256 in self._unmixed

    def forget_wrong(self) -> None:
        """Begin a new run: each source may be asked for each blob again."""
        with self._guard:
            self._wrong.clear()
            self._unmixed.clear()
            self._found.clear()

    def received(self) -> dict[str, int]:
        """Return the bytes of each source that sent any, in their order."""
        with self._guard:
            return {name: self._received[name] for name in self.names if self._received[name]}

    def counts(self) -> list[SourceCount]:
        """Return what each source did, in their order."""
        with self._guard:
            return [
                SourceCount(
                    name, self._received[name], {reason: self._failures[name, reason] for reason in REASONS}
                )
                for name in self.names
            ]


def received_since(before: Mapping[str, int], now: Mapping[str, int]) -> list[str]:
    """Return what each source has sent between two looks, such as `1.2 GB of file:///mirror`.

    Args:
        before: Bytes by source at the first look.
        now: Bytes by source at the second one.
    """
    sent = {name: count - before.get(name, 0) for name, count in now.items()}
    return [f"{decimal(count)} of {name}" for name, count in sent.items() if count]
