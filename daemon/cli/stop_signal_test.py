"""The signals that end the service."""

import os
import signal
from collections.abc import Iterator

import pytest

from daemon.cli.stop_signal import stop_on_signals


class _EndedError(Exception):
    """The process would have ended."""


@pytest.fixture(autouse=True)
def _handlers(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def end(code: int) -> None:
        raise _EndedError(code)

    monkeypatch.setattr("os._exit", end)
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_first_signal_asks_to_stop_and_the_second_ends_the_process(number: int) -> None:
    asked_to_stop = stop_on_signals()
    assert not asked_to_stop.is_set()
    os.kill(os.getpid(), number)
    assert asked_to_stop.wait(60)
    with pytest.raises(_EndedError, match="0"):
        os.kill(os.getpid(), number)
