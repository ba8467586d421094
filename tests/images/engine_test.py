import re
import shutil
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


def _root_with_sleep(root: Path) -> Path:
    """Make a container's root that has `sleep`, and the libraries that it is linked with."""
    program = shutil.which("sleep")
    assert program is not None
    linked = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout  # noqa: S607
    for source in [program, *re.findall(r"/\S+", linked)]:
        place = root / source.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, place)
    for name in ("dev", "etc", "proc", "run", "sys", "tmp"):
        (root / name).mkdir()
    return root


def test_a_container_goes_on_when_another_podman_of_the_machine_is_removed(tmp_path: Path) -> None:
    with engine() as running:
        program = str(shutil.which("sleep"))
        command = ("run", "--detach", "--rootfs", _root_with_sleep(tmp_path / "root"), program, "infinity")
        name = running.run(*command).stdout.strip()
        with engine() as other:
            other.run("info")
        running.run("exec", name, program, "0")
        assert running.run("inspect", "--format", "{{.State.Status}}", name).stdout == "running\n"
