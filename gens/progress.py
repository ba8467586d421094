"""The progress of a run: a bar on a terminal, nothing elsewhere."""

import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress

Unit = Literal["items", "bytes"]


class Bar:
    """A bar with its title, what is done of the total, and the time.

    Several threads may advance it. Lines that are printed through it stand above it.

    Attributes:
        title: The word before the bar.
        total: How much there is to do; None while that is not known.
        done: How much of it is done.
    """

    def __init__(
        self, title: str, total: int | None = None, *, unit: Unit = "items", stream: TextIO | None = None
    ) -> None:
        self.title = title
        self.total = total
        self.done = 0
        self._stream = sys.stderr if stream is None else stream
        self._guard = threading.Lock()
        self._bars = _bars(self._stream, unit) if self._stream.isatty() else None
        if self._bars is not None:
            self._task = self._bars.add_task(title, total=total, note="")

    @property
    def on_terminal(self) -> bool:
        """Whether anything is drawn."""
        return self._bars is not None

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bars is not None:
            self._bars.stop()

    def advance(self, count: int = 1, note: str = "") -> None:
        """Count what was done.

        Args:
            count: How much more is done; negative where a failure undid some of it.
            note: What was done last, for the end of the line.
        """
        with self._guard:
            self.done += count
            if self._bars is not None:
                self._bars.update(self._task, completed=self.done, total=self.total, note=note)

    def print(self, line: str) -> None:
        """Print a line as it is, above the bar if there is one."""
        if self._bars is not None:
            self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            print(line, file=self._stream, flush=True)


def _bars(stream: TextIO, unit: Unit) -> "Progress":
    # Only a terminal needs rich's bars, and loading them takes longer than an install with nothing to do.
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    counts = (
        [DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()]
        if unit == "bytes"
        else [MofNCompleteColumn()]
    )
    return Progress(
        TextColumn("{task.description:<8}"), BarColumn(), *counts, TimeElapsedColumn(),
        TextColumn("{task.fields[note]}", markup=False), console=Console(file=stream), transient=True,
    )  # fmt: skip
