"""A process that a lease keeps waiting is told from one that works or sleeps."""

import fcntl
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from daemon.host.broken_lease import waits_for_a_lease

_WRITER = "import sys; print(flush=True); open(sys.argv[1], 'w').close(); sys.stdin.read()"


@pytest.mark.parametrize("is_leased", [True, False])
def test_only_who_waits_for_a_lease_is_told(tmp_path: Path, is_leased: bool) -> None:
    path = tmp_path / "file"
    path.touch()
    with (
        path.open("rb") as model,
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as writer,
    ):
        if is_leased:
            signal.signal(signal.SIGIO, signal.SIG_IGN)  # the kernel's request to give it up
            fcntl.fcntl(model.fileno(), fcntl.F_SETLEASE, fcntl.F_RDLCK)
        assert writer.stdout is not None
        writer.stdout.readline()
        deadline = time.monotonic() + (30 if is_leased else 1)
        told = False
        while not told and time.monotonic() < deadline:
            told = waits_for_a_lease(writer.pid)
            time.sleep(0.01)
        writer.kill()
    assert told == is_leased


def test_a_process_that_has_ended_waits_for_nothing() -> None:
    with subprocess.Popen(["/bin/true"]) as process:
        process.wait()
    assert not waits_for_a_lease(process.pid)
