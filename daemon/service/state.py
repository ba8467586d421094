"""What the daemon knows of itself: one writer, the loop, and many readers, the requests."""

import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from daemon.host.retries import Retries, Retry
from daemon.prefix.finding import Finding
from daemon.prefix.usage import Usage
from daemon.upkeep.readiness import Known

# What can fail, as retries name it, before the name of a generation or of what is in it.
DEFINITION, SCAN, REPAIR, INSTALL = "definition", "scan", "repair", "install"
_ERRORS_KEPT = 20


@dataclass(frozen=True, slots=True)
class ErrorEntry:
    """Something that went wrong.

    Attributes:
        time_s: When, in seconds since the epoch.
        kind: Such as `index`, `disk`, `damage`.
        subject: What it concerns, such as `g00003/python3.11`.
        text: What a person should know.
    """

    time_s: float
    kind: str
    subject: str
    text: str


@dataclass(slots=True)
class ServiceState:
    """What the daemon does and what went wrong.

    Attributes:
        retries: What failed and is tried again.
        activity: What it does now, for people.
        damage: What the last scan found, by generation.
        installing: Generations that are being installed.
        errors: The last errors, newest first.
        usage: The bytes on the prefix when they were last counted.
        checked_s: When the loop last compared what is with what should be, in seconds since the epoch.
        round_began_s: When the round of the loop that goes on began, by a clock that never goes back; None
            between two rounds.
        alive: Whether the loop runs.
        scanned: Whether a scan was made since the start.
    """

    retries: Retries = field(default_factory=Retries)
    activity: str = "starting"
    damage: dict[str, list[Finding]] = field(default_factory=dict)
    installing: frozenset[str] = frozenset()
    errors: deque[ErrorEntry] = field(default_factory=lambda: deque(maxlen=_ERRORS_KEPT))
    usage: Usage | None = None
    checked_s: float = 0.0
    round_began_s: float | None = None
    alive: bool = True
    scanned: bool = False
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def remember_damage(self, damage: Mapping[str, Iterable[Finding]]) -> None:
        """Take over what the daemon before this one had found, until a scan replaces it."""
        with self._guard:
            self.damage = {name: list(findings) for name, findings in damage.items()}

    def set_damage(self, damage: Mapping[str, Iterable[Finding]]) -> None:
        """Replace what is damaged by what a scan has found."""
        with self._guard:
            self.damage = {name: list(findings) for name, findings in damage.items() if findings}
            self.scanned = True

    def add_error(self, kind: str, subject: str, text: str) -> None:
        """Remember an error."""
        with self._guard:
            self.errors.appendleft(ErrorEntry(time.time(), kind, subject, text))

    def last_errors(self) -> list[ErrorEntry]:
        """Give the last errors, newest first."""
        with self._guard:
            return list(self.errors)

    def round_s(self) -> float:
        """Give the seconds since the round that goes on began; 0 between two rounds."""
        began_s = self.round_began_s
        return 0.0 if began_s is None else time.monotonic() - began_s

    def known(self) -> Known:
        """Give what the probe cannot see on the prefix."""
        retries = tuple(self.retries.pending())
        with self._guard:
            return Known(
                _reasons(retries, INSTALL),
                dict(self.damage),
                self.installing,
                next((retry.reason for retry in retries if retry.subject == INSTALL), ""),
                self.scanned,
                retries,
                _reasons(retries, SCAN),
            )


def _reasons(retries: Iterable[Retry], kind: str) -> dict[str, str]:
    return {
        retry.subject.removeprefix(f"{kind} "): retry.reason
        for retry in retries
        if retry.subject.startswith(f"{kind} ")
    }
