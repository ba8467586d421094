"""Shows the progress of a run: a bar on a terminal, nothing elsewhere."""

import sys
import threading
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress

Unit = Literal["items", "bytes"]


class Bar:
    """A bar with its title, the completed part of the total, and the time.

    Thread-safe. Lines printed through it appear above it.

    Attributes:
        title: Word before the bar.
        total: Amount of work, in items or bytes; None while it is unknown.
        done: Amount that is done.
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
        """True if the stream is a terminal, so that the bar is drawn."""
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
        """Add to the amount that is done.

        Args:
            count: Amount to add; negative if a failure undid some of it.
            note: Text for the end of the line, such as the name of the last item.
        """
        with self._guard:
            self.done += count
            if self._bars is not None:
                self._bars.update(self._task, completed=self.done, total=self.total, note=note)

    def print(self, line: str) -> None:
        """Print a line without markup, above the bar if there is one."""
        if self._bars is not None:
            self._bars.console.print(line, markup=False, highlight=False, soft_wrap=True)
        else:
            print(line, file=self._stream, flush=True)


def _bars(stream: TextIO, unit: Unit) -> "Progress":
    # Imported on demand: loading rich's bars takes longer than an install with nothing to do.
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
