"""Shows how far a run of many steps is: a bar on a terminal, a line for each step elsewhere."""

from types import TracebackType
from typing import Self

import rich.progress
from rich.console import Console


class Progress:
    """Progress of a known number of steps, on standard error."""

    def __init__(self, title: str, total: int) -> None:
        console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._console = console
        self._total = total
        self._completed = 0
        self._bar: rich.progress.Progress | None = None
        if console.is_terminal:
            self._bar = rich.progress.Progress(
                rich.progress.TextColumn("{task.description}"),
                rich.progress.BarColumn(),
                rich.progress.MofNCompleteColumn(),
                rich.progress.TimeElapsedColumn(),
                rich.progress.TextColumn("{task.fields[last]}"),
                console=console,
                transient=True,
            )
            self._task = self._bar.add_task(title, total=total, last="")

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def step(self, message: str) -> None:
        """Say that one more step is done.

        Args:
            message: What was done.
        """
        self._completed += 1
        if self._bar is None:
            width = len(str(self._total))
            self._console.print(f"[{self._completed:{width}}/{self._total}] {message}", markup=False)
        else:
            self._bar.update(self._task, advance=1, last=message)
