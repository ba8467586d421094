"""The state of the service: one writer, the loop, and many readers, the requests."""

import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from daemon.host.retries import Retries, Retry
from daemon.prefix.disk_budget import BudgetUse
from daemon.prefix.finding import Finding
from daemon.prefix.usage import Usage
from daemon.upkeep.readiness import Known

# The first word of a subject in retries; the name of a generation, environment or toolkit follows.
DEFINITION, SCAN, REPAIR, INSTALL = "definition", "scan", "repair", "install"
_ERRORS_KEPT = 20


@dataclass(frozen=True, slots=True)
class ErrorEntry:
    """An error on the page.

    Attributes:
        time_s: Seconds since the epoch.
        kind: Such as `index`, `disk`, `damage`.
        subject: Such as `g00003/python3.11`.
        text: The message.
    """

    time_s: float
    kind: str
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class LeaseState:
    """The leases of models when they were last looked at.

    Attributes:
        last_uses: When each environment was leased last, or installed if that was later, in seconds since the
            epoch; by label, such as `g00003/python3.11`.
        environments: Labels of the environments that are leased now, each alone.
        generations: Names of the generations that are leased as a whole.
    """

    last_uses: Mapping[str, int] = field(default_factory=dict)
    environments: frozenset[str] = frozenset()
    generations: frozenset[str] = frozenset()


@dataclass(slots=True)
class ServiceState:
    """The state of the service.

    Attributes:
        retries: The subjects that failed and are tried again.
        activity: What the service does now, for people.
        turn: What the node waits for before it fetches something new, for people; empty for nothing.
        damage: Findings of the last scan, by generation.
        installing: Generations that are being installed.
        errors: The last errors, newest first.
        usage: The bytes on the prefix when they were last counted.
        budget: How much of the disk budget was used when it was last looked at; None without a budget.
        leases: The leases of models when they were last looked at.
        checked_s: Time of the last complete round, in seconds since the epoch.
        round_began_s: Begin of the current round, by a monotonic clock; None between two rounds.
        alive: Whether the loop runs.
        scanned: Whether a scan was made since the start.
        requested: How many environments and toolkits models waited for at the last look.
    """

    retries: Retries = field(default_factory=Retries)
    activity: str = "starting"
    turn: str = ""
    damage: dict[str, list[Finding]] = field(default_factory=dict)
    installing: frozenset[str] = frozenset()
    errors: deque[ErrorEntry] = field(default_factory=lambda: deque(maxlen=_ERRORS_KEPT))
    usage: Usage | None = None
    budget: BudgetUse | None = None
    leases: LeaseState = field(default_factory=LeaseState)
    checked_s: float = 0.0
    round_began_s: float | None = None
    alive: bool = True
    scanned: bool = False
    requested: int = 0
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def remember_damage(self, damage: Mapping[str, Iterable[Finding]]) -> None:
        """Take over the findings of the last daemon, until a scan replaces them."""
        with self._guard:
            self.damage = {name: list(findings) for name, findings in damage.items()}

    def set_damage(self, damage: Mapping[str, Iterable[Finding]]) -> None:
        """Replace the damage by the findings of a scan."""
        with self._guard:
            self.damage = {name: list(findings) for name, findings in damage.items() if findings}
            self.scanned = True

    def add_error(self, kind: str, subject: str, text: str) -> None:
        """Add an error."""
        with self._guard:
            self.errors.appendleft(ErrorEntry(time.time(), kind, subject, text))

    def last_errors(self) -> list[ErrorEntry]:
        """Return the last errors, newest first."""
        with self._guard:
            return list(self.errors)

    def round_s(self) -> float:
        """Return the seconds since the current round began; 0 between two rounds."""
        began_s = self.round_began_s
        return 0.0 if began_s is None else time.monotonic() - began_s

    def known(self) -> Known:
        """Return what a probe cannot read from the prefix itself."""
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
