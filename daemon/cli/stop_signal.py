"""The signals that end the service: SIGTERM and SIGINT."""

import os
import signal
import threading
from types import FrameType


def stop_on_signals() -> threading.Event:
    """Handle SIGTERM and SIGINT from now on: the first sets the event, the second ends the process at once.

    Returns:
        The event.
    """
    asked_to_stop = threading.Event()

    def handle(_number: int, _frame: FrameType | None) -> None:
        if asked_to_stop.is_set():
            os._exit(0)
        asked_to_stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, handle)
    return asked_to_stop
