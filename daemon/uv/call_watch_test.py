"""A uv that prints without end, or downloads too slowly, is ended with a reason; any other is left alone."""

import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from daemon.errors import SlowIndexError
from daemon.uv import call_watch
from daemon.uv.call_watch import CallWatch
from daemon.uv.least_rate import LeastRate

_LONG_S = 300  # reached only where what a test waits for does not come


@pytest.fixture
def process() -> Iterator["subprocess.Popen[bytes]"]:
    with subprocess.Popen(["/bin/sleep", "30"]) as process:
        yield process
        process.kill()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log"
    path.write_bytes(b"wheels \n")
    return path


def test_a_process_that_prints_without_end_is_ended(
    process: "subprocess.Popen[bytes]", log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_watch, "_LOG_BYTES", 1000)
    monkeypatch.setattr(call_watch, "_LOOK_S", 0.01)
    watch = CallWatch(log, None)
    with log.open("ab") as file:
        file.write(b"x" * 1001)
    watch.note(process, runs=True)
    assert process.wait(_LONG_S) == -9
    watch.note(process, runs=False)
    assert "1,001 bytes" in str(watch.reason)


class _Dripping:
    """A count of received bytes that grows by one at each look."""

    def __init__(self, _: int) -> None:
        self._count = 0

    def total(self) -> int:
        self._count += 1
        return self._count


def test_a_process_that_downloads_too_slowly_is_ended_with_the_options_that_say_so(
    process: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_watch, "ReceivedBytes", _Dripping)
    watch = CallWatch(None, LeastRate(bytes_per_s=100_000, window_s=0.1))
    watch.note(process, runs=True)
    assert process.wait(_LONG_S) == -9
    watch.note(process, runs=False)
    assert isinstance(watch.reason, SlowIndexError)
    assert "--min-download-rate" in str(watch.reason)


@pytest.mark.parametrize(("waits", "ends"), [([True, False, True, False], False), ([True, True], True)])
def test_a_process_that_waits_for_a_model_at_two_looks_in_a_row_is_ended(
    process: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch, waits: list[bool], ends: bool
) -> None:
    monkeypatch.setattr(call_watch, "_LOOK_S", 0.01)
    seen, looks = threading.Event(), iter(waits)

    def look(_: int) -> bool:
        waits = next(looks, None)
        if waits is None:
            seen.set()
        return bool(waits)

    monkeypatch.setattr(call_watch, "waits_for_a_lease", look)
    watch = CallWatch(None, None)
    watch.note(process, runs=True)
    if ends:
        assert process.wait(_LONG_S) == -9
    else:
        assert seen.wait(_LONG_S)
    watch.note(process, runs=False)
    assert watch.is_held_up == ends
    assert (process.poll() is None) == (not ends)


def test_a_process_that_does_neither_is_left_alone(process: "subprocess.Popen[bytes]", log: Path) -> None:
    watch = CallWatch(log, LeastRate(window_s=0.1))
    watch.note(process, runs=True)
    watch.note(process, runs=False)
    assert process.poll() is None
    assert watch.reason is None


def test_of_a_long_log_the_beginning_and_the_end_are_kept(log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call_watch, "_KEPT_BYTES", 5)
    watch = CallWatch(log, None)
    with log.open("ab") as file:
        file.write(b"beginning, and the end")
    assert watch.read_log() == "begine end"
    assert CallWatch(None, None).read_log() == ""


def test_what_a_process_has_received_is_told_without_a_least_rate(
    process: "subprocess.Popen[bytes]", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(call_watch, "ReceivedBytes", _Dripping)
    monkeypatch.setattr(call_watch, "_LOOK_S", 0.01)
    told: list[int] = []
    enough = threading.Event()

    def note(count: int) -> None:
        told.append(count)
        if count == 3:
            enough.set()

    watch = CallWatch(None, None, note)
    watch.note(process, runs=True)
    assert enough.wait(_LONG_S)
    watch.note(process, runs=False)
    assert told[:3] == [1, 2, 3]
    assert process.poll() is None
