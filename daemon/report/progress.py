"""Reports progress: a bar on a terminal, elsewhere one line for each stage, JSON for machines."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal, TextIO

from rich.filesize import decimal

from daemon.report.shown_text import visible
from gens.progress import Bar, Unit
from gens.redaction import redact

LogFormat = Literal["text", "json"]
Value = str | int | float | bool | None | list[str]


@dataclass(slots=True)
class Stage:
    """A stage that is running.

    Attributes:
        name: Such as `fetch`.
        total: Amount of work, in items or bytes; None while it is unknown.
        facts: What the line at the end of the stage reports.
        bar: The bar on the terminal, if there is one.
        watch: Called with each amount that is done.
        watch_call: Called with the name of a call of uv and the bytes that it has received so far.
    """

    name: str
    total: int | None = None
    facts: dict[str, Value] = field(default_factory=dict)
    bar: Bar | None = None
    watch: Callable[[int], None] | None = None
    watch_call: Callable[[str, int], None] | None = None

    def advance(self, count: int = 1) -> None:
        """Add to the amount that is done."""
        if self.watch is not None:
            self.watch(count)
        if self.bar is not None:
            self.bar.total = self.total
            self.bar.advance(count)


@dataclass(slots=True)
class Reporter:
    """Reports progress and messages.

    Attributes:
        stream: Usually standard error: standard output is for results.
        log_format: `text` for people, `json` for machines: one object per line.
        quiet: Whether only warnings and errors are wanted.
        bar: The bar that is on the terminal now; lines appear above it.
    """

    stream: TextIO = field(default_factory=lambda: sys.stderr)
    log_format: LogFormat = "text"
    quiet: bool = False
    bar: Bar | None = None

    def info(self, text: str, **facts: Value) -> None:
        """Report what happens."""
        if not self.quiet:
            self._line("info", text, facts)

    def tell(self, text: str, **facts: Value) -> None:
        """Report what happens in a sentence that says all of it; its facts are for machines."""
        if not self.quiet:
            self._line("told", text, facts)

    def warning(self, text: str, **facts: Value) -> None:
        """Report what a person should look into."""
        self._line("warning", text, facts)

    def error(self, text: str, **facts: Value) -> None:
        """Report a failure."""
        self._line("error", text, facts)

    @contextmanager
    def stage(self, name: str, total: int | None = None, *, unit: Unit = "items") -> Iterator[Stage]:
        """Run a stage: a bar while it lasts, and at its end one line with its facts and seconds.

        Args:
            name: Such as `fetch`.
            total: Amount of work; None if it becomes known later, 0 for no bar.
            unit: Unit of the total.

        Yields:
            The stage, to advance and to note facts in.
        """
        stage = Stage(name, total)
        began = time.monotonic()
        # One bar at a time: the next environment is fetched while one is linked.
        is_free = self.bar is None
        if is_free and self.log_format == "text" and not self.quiet and self.stream.isatty() and total != 0:
            with Bar(name, total, unit=unit, stream=self.stream) as bar:
                stage.bar = self.bar = bar
                try:
                    yield stage
                finally:
                    self.bar = None
        else:
            yield stage
        seconds = round(time.monotonic() - began, 2)
        if not self.quiet:
            self._line("info", "", {"stage": name, **stage.facts, "seconds": seconds})

    def _line(self, level: str, text: str, facts: dict[str, Value]) -> None:
        shown = {
            name: visible(redact(value)) if isinstance(value, str) else value for name, value in facts.items()
        }
        # A log that cannot be written, because its reader or its disk is gone, stops no install.
        with suppress(OSError):
            self._print(level, visible(redact(text), keep="\n\t"), shown)

    def _print(self, level: str, text: str, facts: dict[str, Value]) -> None:
        if self.log_format == "json":
            entry: dict[str, Value] = {
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "level": "info" if level == "told" else level,
            }
            if text:
                entry["message"] = text
            print(json.dumps(entry | facts), file=self.stream, flush=True)
            return
        if level == "told":
            line = text
        else:
            line = _line(text, facts) if level == "info" else _sentence(level, text, facts)
        if self.bar is not None:
            self.bar.print(line)
        else:
            print(line, file=self.stream, flush=True)


def _sentence(level: str, text: str, facts: dict[str, Value]) -> str:
    """Return a warning or an error: its subject, and what to do at its end; other facts are for machines."""
    about = facts.get("target") or facts.get("subject")
    return f"{level}: {about}: {text}" if about else f"{level}: {text}"


def _line(text: str, facts: dict[str, Value]) -> str:
    parts = [text] if text else []
    stage = facts.get("stage")
    if stage is not None:
        parts.append(f"{stage:<8}")
    phrases = [
        _phrase(name, value)
        for name, value in facts.items()
        if name != "stage" and value != [] and not (isinstance(value, str) and value in text)
    ]
    return " ".join([*parts, ", ".join(phrases)]).rstrip()


def _phrase(name: str, value: Value) -> str:
    if name.endswith("_bytes") and isinstance(value, int):
        return f"{decimal(value)} {name.removesuffix('_bytes').replace('_', ' ')}"
    if name == "seconds":
        return f"{value} s"
    if isinstance(value, list):
        return f"{name.replace('_', ' ')} {' '.join(value)}"
    if isinstance(value, str):
        return f"{name.replace('_', ' ')} {value}"
    return f"{value} {name.replace('_', ' ')}"
