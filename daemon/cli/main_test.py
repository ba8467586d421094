"""How a process of ours is begun: what stands behind its streams, and where it is."""

import os
import subprocess
import sys
from pathlib import Path

from gens.version import read_version

_PROGRAM = 'exec "$0" -m daemon.main'


def _shell(script: str, directory: Path) -> "subprocess.CompletedProcess[str]":
    """Run a script in which `$0` is Python."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path.cwd()), *sys.path])}
    return subprocess.run(
        ["/bin/sh", "-c", script, sys.executable],
        capture_output=True, text=True, check=False, env=environment, cwd=directory, timeout=60,
    )  # fmt: skip


def test_a_reader_that_has_seen_enough_is_no_fault_of_ours(tmp_path: Path) -> None:
    script = f"{{ sleep 0.3; {_PROGRAM} status --json --prefix {tmp_path}/p; }} | true"
    done = _shell(script, tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_working_folder_that_was_removed_is_told(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    done = _shell(f"cd gone && rmdir ../gone && {_PROGRAM} status --prefix {tmp_path}/p", tmp_path)
    assert done.returncode == 11
    assert done.stderr.startswith("error: the working folder of this process was removed")


def test_the_version_is_told_and_is_the_one_of_this_build(tmp_path: Path) -> None:
    done = _shell(f"{_PROGRAM} --version", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{read_version()}\n", "")
