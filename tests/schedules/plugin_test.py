import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.schedules.disturbance import Disturbance, child_environment

_ROOT = Path(__file__).parents[2]
# Passes in the order that is usual, and in no other.
_RACE = """
import threading

def test_race():
    for _ in range(30):
        done = []
        threading.Thread(target=done.append, args=[1]).start()
        done.append(2)
        assert done == [1, 2]
"""
_IS_DISTURBED = "import threading; print(threading.Thread.start.__name__)"


def _pytest(tmp_path: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    (tmp_path / "race_test.py").write_text(_RACE)
    return subprocess.run(
        [
            sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "tests.schedules.plugin",
            *arguments, "race_test.py",
        ],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=300,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(_ROOT), *sys.path])},
    )  # fmt: skip


def test_a_test_that_passes_in_one_order_only_fails_and_the_seed_is_printed(tmp_path: Path) -> None:
    done = _pytest(tmp_path, "--schedule-seed", "7")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "disturbed schedules: --schedule-seed 7\n" in done.stdout
    assert "assert [2, 1] == [1, 2]" in done.stdout or "assert [2] == [1, 2]" in done.stdout


def test_without_a_seed_one_is_drawn_and_printed(tmp_path: Path) -> None:
    assert "disturbed schedules: --schedule-seed " in _pytest(tmp_path).stdout


@pytest.mark.parametrize("is_below", [True, False])
def test_python_processes_below_are_disturbed_and_others_are_not(tmp_path: Path, is_below: bool) -> None:
    variables = child_environment(3) if is_below else {"PYTHONPATH": str(_ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", _IS_DISTURBED], cwd=tmp_path, capture_output=True, text=True, check=True,
        timeout=300, env={**os.environ, **variables},
    )  # fmt: skip
    assert (done.stdout != "start\n") == is_below


def test_one_seed_gives_the_same_delays_in_each_run_and_another_gives_others() -> None:
    one, again, other = ([draw.delay_s("thread") for _ in range(50)] for draw in map(Disturbance, (1, 1, 2)))
    assert one == again != other
    assert any(one)


def test_steps_in_a_loop_are_delayed_less_often_until_the_next_test_begins() -> None:
    disturbance = Disturbance(1)

    def delayed(steps: int) -> int:
        return sum(disturbance.delay_s("thread") > 0 for _ in range(steps))

    first, later = delayed(200), [delayed(200) for _ in range(50)][-1]
    disturbance.begin_test()
    assert later < first / 4
    assert delayed(200) > later * 4
