"""Delays the steps by which threads and processes meet, so that they come in another order than usual.

A test that passes only in the usual order fails under it in minutes, instead of once in fifty runs on a busy
machine. The delays are drawn from a seed: the n-th delay at one kind of step is the same in each run.
"""

import fcntl
import itertools
import os
import queue
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

_Call = Callable[..., Any]

SEED_VARIABLE = "MONOBASE_SCHEDULE_SEED"
_LONGEST_S = 0.06
# A thread that got no processor for a while.
_STARVED_S = 0.4
_STARVED_SHARE = 0.01
_SWITCH_INTERVAL_S = 1e-5

# After so many steps of a kind in one test, half as many are delayed: a loop takes seconds longer at most.
_OFTEN = 20
# How often a step is delayed.
_SHARES = {
    "thread": 0.8,
    "worker": 0.7,
    "process": 0.5,
    "event": 0.5,
    "queue": 0.2,
    "result": 0.4,
    "file lock": 0.2,
    "rename": 0.05,
}


class Disturbance:
    """Draws delays from a seed, and waits for them.

    Attributes:
        seed: Where the delays come from.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._counts = {step: itertools.count() for step in _SHARES}
        self._since_calm = dict.fromkeys(_SHARES, 0)

    def begin_test(self) -> None:
        """Delay the first steps of the next test as often as those of the first one."""
        self._since_calm = dict.fromkeys(_SHARES, 0)

    def delay_s(self, step: str) -> float:
        """Draw the next delay of one kind of step, in seconds.

        Args:
            step: A key of the table of steps.

        Returns:
            Zero where this one is not delayed.
        """
        draw = random.Random(f"{self.seed}/{step}/{next(self._counts[step])}")  # noqa: S311 (not a secret)
        self._since_calm[step] += 1
        if draw.random() * (1 + self._since_calm[step] / _OFTEN) >= _SHARES[step]:
            return 0.0
        return draw.random() ** 3 * (_STARVED_S if draw.random() < _STARVED_SHARE else _LONGEST_S)

    def pause(self, step: str) -> None:
        """Wait for the next delay of one kind of step."""
        if delay_s := self.delay_s(step):
            _sleep(delay_s)


# Tests replace time.sleep: the delays are to be real.
_sleep = time.sleep


def disturb(disturbance: Disturbance) -> None:
    """Replace functions of the standard library that start, wait for and wake threads and processes.

    Args:
        disturbance: Where the delays come from.
    """
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    pause = disturbance.pause
    for owner, name, step in (
        (threading.Thread, "start", "thread"),
        (threading.Event, "set", "event"),
        (threading.Event, "wait", "event"),
        (queue.Queue, "put", "queue"),
        (queue.Queue, "get", "queue"),
        (Future, "set_result", "result"),
        (Future, "result", "result"),
        (subprocess.Popen, "__init__", "process"),
        (subprocess.Popen, "wait", "process"),
        (fcntl, "flock", "file lock"),
        (os, "rename", "rename"),
        (os, "replace", "rename"),
    ):
        setattr(owner, name, _between(getattr(owner, name), step, pause))
    threading.Thread.run = _between(threading.Thread.run, "thread", pause)  # type: ignore[method-assign]
    submit = ThreadPoolExecutor.submit

    def submit_late(
        pool: ThreadPoolExecutor, call: _Call, /, *args: object, **named: object
    ) -> Future[object]:
        pause("worker")
        return submit(pool, _between(call, "worker", pause), *args, **named)

    setattr(ThreadPoolExecutor, "submit", submit_late)  # noqa: B010 (mypy would compare its signature)


def _between(call: _Call, step: str, pause: Callable[[str], None]) -> _Call:
    def delayed(*args: object, **named: object) -> Any:  # noqa: ANN401 (what the call returns)
        pause(step)
        result = call(*args, **named)
        pause(step)
        return result

    return delayed


def child_environment(seed: int) -> dict[str, str]:
    """Return the variables with which Python processes below this one are disturbed as well.

    Args:
        seed: Of this process.
    """
    root = Path(__file__).resolve().parents[2]
    paths = [str(Path(__file__).resolve().parent / "startup"), str(root), os.environ.get("PYTHONPATH", "")]
    return {SEED_VARIABLE: str(seed), "PYTHONPATH": os.pathsep.join(filter(None, paths))}
