"""What the daemon knows of itself: one writer, the loop, and many readers, the requests."""

import re
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from daemon.readiness import Known
from daemon.usage import Usage
from daemon.verify import Finding
from gens.errors import MonobaseError

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
        activity: What it does now, for people.
        failures: Why an environment or toolkit could not be installed, by `g00003/NAME`.
        damage: What the last scan found, by generation.
        installing: Generations that are being installed.
        general: What keeps all from being installed; empty when nothing does.
        errors: The last errors, newest first.
        usage: The bytes on the prefix when they were last counted.
        checked_s: When the loop last compared what is with what should be, in seconds since the epoch.
        retry_s: When a failed install is tried again, in seconds since the epoch; None when none has failed.
        alive: Whether the loop runs.
        scanned: Whether a scan was made since the start.
    """

    activity: str = "starting"
    failures: dict[str, str] = field(default_factory=dict)
    damage: dict[str, list[Finding]] = field(default_factory=dict)
    installing: frozenset[str] = frozenset()
    general: str = ""
    errors: deque[ErrorEntry] = field(default_factory=lambda: deque(maxlen=_ERRORS_KEPT))
    usage: Usage | None = None
    checked_s: float = 0.0
    retry_s: float | None = None
    alive: bool = True
    scanned: bool = False
    _guard: threading.Lock = field(default_factory=threading.Lock)

    def set_failures(self, failures: Mapping[str, str], general: str) -> None:
        """Replace what could not be installed."""
        with self._guard:
            self.failures, self.general = dict(failures), general

    def remember_damage(self, damage: Mapping[str, Iterable[Finding]]) -> None:
        """Take over what the daemon before this one had found, until a scan replaces it."""
        with self._guard:
            self.damage = {name: list(findings) for name, findings in damage.items()}

    def set_damage(self, damage: Mapping[str, Iterable[Finding]]) -> None:
        """Replace what is damaged by what a scan has found."""
        with self._guard:
            self.damage = {name: list(findings) for name, findings in damage.items()}
            self.scanned = True

    def add_error(self, kind: str, subject: str, text: str) -> None:
        """Remember an error."""
        with self._guard:
            self.errors.appendleft(ErrorEntry(time.time(), kind, subject, text))

    def last_errors(self) -> list[ErrorEntry]:
        """Give the last errors, newest first."""
        with self._guard:
            return list(self.errors)

    def known(self) -> Known:
        """Give what the probe cannot see on the prefix."""
        with self._guard:
            return Known(dict(self.failures), dict(self.damage), self.installing, self.general, self.scanned)


def kind_of(error: BaseException) -> str:
    """Name the kind of an error in metrics, such as `index`; `internal` for what is no error of ours."""
    if not isinstance(error, MonobaseError):
        return "internal"
    families = (_KINDS.get(family.__name__) for family in type(error).__mro__)
    return next((kind for kind in families if kind is not None), "other")


def for_everybody(text: str) -> str:
    """Put a message in one line, without user and password of its URLs: everybody can read the page."""
    return " ".join(_CREDENTIALS.sub("://", text).split())


_CREDENTIALS = re.compile(r"://[^/@\s]*@")
_KINDS = {
    "DamageError": "damage",
    "DefinitionError": "definition",
    "DiskError": "disk",
    "IndexAccessError": "index",
    "InterpreterError": "interpreter",
    "LockError": "definition",
    "PrefixInUseError": "in-use",
    "WheelContentError": "wheel",
}
KINDS = tuple(sorted({*_KINDS.values(), "internal", "other"}))
