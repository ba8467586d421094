import subprocess
import sys
from pathlib import Path

from tests.images.engine import engine

_UNTIL_KILLED = """\
import sys
from tests.images.engine import engine
with engine() as podman:
    (podman.directory / "root").mkdir(exist_ok=True)
    print(podman.directory, flush=True)
    sys.stdin.read()
"""


def test_the_next_test_removes_what_a_killed_one_left_and_nothing_of_one_that_runs() -> None:
    with engine() as running:
        other = subprocess.Popen(
            [sys.executable, "-c", _UNTIL_KILLED],
            env={**running.environment(), "PYTHONPATH": ":".join(sys.path)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        with other:
            assert other.stdout is not None
            left = Path(other.stdout.readline().strip())
            other.kill()
        assert (left / "lock").exists()
        assert (running.directory / "containers.conf").exists()
        with engine() as following:
            assert not left.exists()
            assert (running.directory / "containers.conf").exists()
            assert following.directory != running.directory
    assert not running.directory.exists()
