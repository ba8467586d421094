"""What a transfer says while it runs: a bar on a terminal; elsewhere only what went wrong."""

import threading
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.filesize import decimal
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from image.errors import TransientError


class TransferProgress:
    """The bar of a number of bytes, on standard error; hears the threads of a push."""

    def __init__(self, title: str, total_bytes: int) -> None:
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._guard = threading.Lock()
        self._done = 0
        self._bar = Progress(
            TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(),
            TimeRemainingColumn(), console=self._console, transient=True,
            disable=not self._console.is_terminal,
        )  # fmt: skip
        self._task = self._bar.add_task(title, total=total_bytes)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def advance(self, count: int) -> None:
        """Tell that some bytes more are dealt with."""
        with self._guard:
            self._done += count
            self._bar.update(self._task, completed=self._done)

    def retry(self, error: TransientError, pause_s: float) -> None:
        """Tell that something failed, and when it is tried again."""
        self._console.print(f"{error}; again in {pause_s:.1f} s", markup=False)


def human_bytes(count: int) -> str:
    """Write a number of bytes for people: `1.5 GB` (powers of ten)."""
    return decimal(count)
