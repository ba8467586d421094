import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from daemon.errors import PrefixInUseError
from daemon.prefix import Prefix
from daemon.writer_lock import writer_lock

_HOLDER = (
    "import sys, time\n"
    "from pathlib import Path\n"
    "from daemon.prefix import Prefix\n"
    "from daemon.writer_lock import writer_lock\n"
    "with writer_lock(Prefix(Path(sys.argv[1])), None, print):\n"
    "    print('held', flush=True)\n"
    "    time.sleep(60)\n"
)


@pytest.fixture
def prefix(tmp_path: Path) -> Prefix:
    prefix = Prefix(tmp_path / "prefix")
    prefix.make_directories()
    return prefix


def _holder(prefix: Prefix) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent.parent), *sys.path])}
    process = subprocess.Popen(
        [sys.executable, "-c", _HOLDER, prefix.root], stdout=subprocess.PIPE, text=True, env=environment
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_writer_says_who_holds_the_prefix_and_gives_up_in_time(prefix: Prefix) -> None:
    said: list[str] = []
    holder = _holder(prefix)
    try:
        with (
            pytest.raises(PrefixInUseError, match=f"process {holder.pid} on .*--lock-timeout"),
            writer_lock(prefix, 0.3, said.append),
        ):
            pass
    finally:
        holder.kill()
        holder.communicate()
    assert len(said) == 1
    assert f"process {holder.pid}" in said[0]


def test_the_lock_of_a_killed_writer_is_free(prefix: Prefix) -> None:
    holder = _holder(prefix)
    timer = threading.Timer(0.3, holder.send_signal, [signal.SIGKILL])
    timer.start()
    with writer_lock(prefix, 30, lambda _: None):
        assert holder.wait() == -signal.SIGKILL
    holder.communicate()
    timer.join()


def test_a_child_that_inherits_the_lock_keeps_the_next_writer_waiting(prefix: Prefix) -> None:
    with writer_lock(prefix, 0, lambda _: None) as descriptor:
        child = subprocess.Popen(["/bin/sleep", "60"], pass_fds=[descriptor])
    try:
        with pytest.raises(PrefixInUseError), writer_lock(prefix, 0.2, lambda _: None):
            pass
    finally:
        child.kill()
        child.wait()
    with writer_lock(prefix, 5, lambda _: None):
        pass
