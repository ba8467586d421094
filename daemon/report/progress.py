"""What an install says while it runs: bars on a terminal, one line a stage elsewhere, JSON for machines."""

import json
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal, TextIO

from daemon.report.redaction import redact
from daemon.report.shown_text import visible

if TYPE_CHECKING:
    from rich.progress import Progress

LogFormat = Literal["text", "json"]
Value = str | int | float | bool | None | list[str]


@dataclass(slots=True)
class Stage:
    """A stage that runs.

    Attributes:
        name: Such as `fetch`.
        total: How much there is to do, in the unit of the bar; None when that is not known.
        facts: What its last line will tell.
    """

    name: str
    total: int | None = None
    facts: dict[str, Value] = field(default_factory=dict)
    done: int = 0
    progress: "Progress | None" = None
    task: int = 0
    guard: threading.Lock = field(default_factory=threading.Lock)

    def advance(self, count: int = 1) -> None:
        """Tell that some of it is done."""
        with self.guard:
            self.done += count
        if self.progress is not None:
            self.progress.update(self.task, completed=self.done, total=self.total)  # type: ignore[arg-type]


@dataclass(slots=True)
class Reporter:
    """Where an install speaks to.

    Attributes:
        stream: Standard error, usually: standard output is for results.
        log_format: `text` for people, `json` for machines: one object a line.
        quiet: Whether only warnings are wanted.
        live: The bars that are on the terminal now; lines stand above them.
    """

    stream: TextIO = field(default_factory=lambda: sys.stderr)
    log_format: LogFormat = "text"
    quiet: bool = False
    live: "Progress | None" = None

    def info(self, text: str, **facts: Value) -> None:
        """Tell what goes on."""
        if not self.quiet:
            self._line("info", text, facts)

    def warning(self, text: str, **facts: Value) -> None:
        """Tell what a person should look into."""
        self._line("warning", text, facts)

    def error(self, text: str, **facts: Value) -> None:
        """Tell what failed."""
        self._line("error", text, facts)

    @contextmanager
    def stage(
        self, name: str, total: int | None = None, *, unit: Literal["bytes", "items"] = "items"
    ) -> Iterator[Stage]:
        """Run a stage: a bar while it lasts, one line with its facts and seconds at its end.

        Args:
            name: Such as `fetch`.
            total: How much there is to do; None when that turns out later, 0 for no bar.
            unit: Of the total.

        Yields:
            The stage, to advance and to note facts in.
        """
        stage = Stage(name, total)
        began = time.monotonic()
        if self.log_format == "text" and not self.quiet and self.stream.isatty() and total != 0:
            with _bars(self.stream, unit) as progress:
                stage.progress = self.live = progress
                stage.task = progress.add_task(name, total=total)
                try:
                    yield stage
                finally:
                    self.live = None
        else:
            yield stage
        seconds = round(time.monotonic() - began, 2)
        if not self.quiet:
            self._line("info", "", {"stage": name, **stage.facts, "seconds": seconds})

    def _line(self, level: str, text: str, facts: dict[str, Value]) -> None:
        shown = {
            name: visible(redact(value)) if isinstance(value, str) else value for name, value in facts.items()
        }
        # A log that cannot be written, as its reader or its disk is gone, stops nothing.
        with suppress(OSError):
            self._print(level, visible(redact(text), keep="\n\t"), shown)

    def _print(self, level: str, text: str, facts: dict[str, Value]) -> None:
        if self.log_format == "json":
            entry: dict[str, Value] = {
                "time": datetime.now(UTC).isoformat(timespec="milliseconds"),
                "level": level,
            }
            if text:
                entry["message"] = text
            print(json.dumps(entry | facts), file=self.stream, flush=True)
            return
        if level != "info":
            # A sentence that ends with what to do: what it is about stands first, the rest is for machines.
            about = facts.get("target") or facts.get("subject")
            line = f"{level}: {about}: {text}" if about else f"{level}: {text}"
        else:
            parts = [text] if text else []
            stage = facts.get("stage")
            if stage is not None:
                parts.append(f"{stage:<8}")
            told = [
                _phrase(name, value)
                for name, value in facts.items()
                if name != "stage" and value != [] and not (isinstance(value, str) and value in text)
            ]
            line = " ".join([*parts, ", ".join(told)]).rstrip()
        if self.live is not None:
            self.live.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            print(line, file=self.stream, flush=True)


def human_bytes(count: int) -> str:
    """Write a number of bytes for people: `1.5 GB` (powers of ten, as disks are sold)."""
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if abs(size) < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _phrase(name: str, value: Value) -> str:
    if name.endswith("_bytes") and isinstance(value, int):
        return f"{human_bytes(value)} {name.removesuffix('_bytes').replace('_', ' ')}"
    if name == "seconds":
        return f"{value} s"
    if isinstance(value, list):
        return f"{name.replace('_', ' ')} {' '.join(value)}"
    if isinstance(value, str):
        return f"{name.replace('_', ' ')} {value}"
    return f"{value} {name.replace('_', ' ')}"


def _bars(stream: TextIO, unit: str) -> "Progress":
    # Only a terminal needs rich, and loading it takes longer than an install with nothing to do.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TransferSpeedColumn,
    )

    counts = [DownloadColumn(), TransferSpeedColumn()] if unit == "bytes" else [MofNCompleteColumn()]
    return Progress(
        TextColumn("{task.description:<8}"), BarColumn(), *counts, TimeElapsedColumn(),
        console=Console(file=stream), transient=True,
    )  # fmt: skip
