"""The progress of a run."""

import io

import pytest

from gens.progress import Bar
from tools.mirror.pace import Pace, StoppedError


def test_without_a_terminal_a_line_now_and_then_says_how_far_a_run_is() -> None:
    log, clock = io.StringIO(), [0.0]
    pace = Pace(Bar("mirror", 4_000_000, unit="bytes", stream=log), 5, now=lambda: clock[0])
    for second in range(0, 91, 15):
        clock[0] = float(second)
        pace.advance(500_000)
    assert log.getvalue().splitlines() == ["1.5 MB of 4.0 MB", "2.5 MB of 4.0 MB", "3.5 MB of 4.0 MB"]


def test_a_run_that_has_failed_stops_who_reports_progress() -> None:
    pace = Pace(Bar("mirror", 1, stream=io.StringIO()), 5)
    pace.stop.set()
    with pytest.raises(StoppedError):
        pace.advance(1)
