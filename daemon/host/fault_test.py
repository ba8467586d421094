"""A process ends at a fault point only when it is asked to."""

import subprocess
import sys
from pathlib import Path

import pytest

from daemon.host.fault import VARIABLE, fault_point

_ROOT = Path(__file__).parents[2]


def test_a_point_that_is_not_asked_for_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    fault_point("seal:done")
    monkeypatch.setenv(VARIABLE, "seal:renamed")
    fault_point("seal:done")


def test_the_point_that_is_asked_for_ends_the_process_without_clean_up() -> None:
    code = (
        "from daemon.host.fault import fault_point\n"
        "try:\n    fault_point('seal:done')\nfinally:\n    print('cleaned up')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={VARIABLE: "seal:done", "PYTHONPATH": str(_ROOT)},
        capture_output=True,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (-9, b"")
