import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from daemon.errors import PrefixInUseError
from daemon.prefix.prefix import Prefix
from daemon.prefix.writer_lock import writer_lock

_HOLDER = (
    "import sys, time\n"
    "from pathlib import Path\n"
    "from daemon.prefix.prefix import Prefix\n"
    "from daemon.prefix.writer_lock import writer_lock\n"
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
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])}
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
    with writer_lock(prefix, 0, lambda _: None) as writer:
        child = subprocess.Popen(["/bin/sleep", "60"], pass_fds=writer.descriptors)
    try:
        with pytest.raises(PrefixInUseError), writer_lock(prefix, 0.2, lambda _: None):
            pass
    finally:
        child.kill()
        child.wait()
    with writer_lock(prefix, 5, lambda _: None):
        pass


@pytest.mark.parametrize("replaced", [False, True])
@pytest.mark.parametrize("second", [False, True])
def test_who_loses_a_lock_file_is_told_and_nobody_else_gets_in_meanwhile(
    prefix: Prefix, second: bool, replaced: bool
) -> None:
    path = prefix.second_lock_file if second else prefix.lock_file
    with writer_lock(prefix, 0, lambda _: None) as writer:
        writer.check()
        path.unlink()
        if replaced:
            path.touch()
        with pytest.raises(PrefixInUseError, match="writes to this prefix"), writer_lock(prefix, 0, print):
            pass
        with pytest.raises(PrefixInUseError, match=r"\.lock: was removed or replaced"):
            writer.check()
    with writer_lock(prefix, 0, lambda _: None) as writer:
        writer.check()


def test_what_fails_after_the_lock_was_lost_is_told_as_the_loss(prefix: Prefix) -> None:
    def lose() -> None:
        with writer_lock(prefix, 0, lambda _: None):
            prefix.lock_file.unlink()
            raise FileNotFoundError("what another writer removed")

    with pytest.raises(PrefixInUseError, match="was removed or replaced"):
        lose()


_WRITER = """
import fcntl, os, random, sys, time
from pathlib import Path
from daemon.errors import PrefixInUseError
from daemon.prefix.prefix import Prefix
from daemon.prefix.writer_lock import writer_lock
prefix, witness = Prefix(Path(sys.argv[1])), os.open(sys.argv[2], os.O_RDWR | os.O_CREAT)
print("begun", flush=True)
held = 0
while not os.path.exists(sys.argv[3]):
    try:
        with writer_lock(prefix, 0, print) as writer:
            fcntl.flock(witness, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises when there is another one
            time.sleep(random.uniform(0, 0.002))
            held += 1
            fcntl.flock(witness, fcntl.LOCK_UN)
            writer.check()
    except PrefixInUseError:
        time.sleep(random.uniform(0, 0.001))
print(held)
"""


def test_there_are_never_two_writers_whatever_becomes_of_the_lock_file(
    prefix: Prefix, tmp_path: Path
) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[2]), *sys.path])}
    done = tmp_path / "done"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", _WRITER, prefix.root, tmp_path / "witness", done],
            stdout=subprocess.PIPE, text=True, env=environment,
        )
        for _ in range(5)
    ]  # fmt: skip
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "begun\n"
    for number in range(300):
        prefix.lock_file.unlink(missing_ok=True)
        if number % 3 == 0:
            prefix.lock_file.touch()
        time.sleep(0.003)
    done.touch()
    said = [writer.communicate()[0] for writer in writers]
    assert [writer.returncode for writer in writers] == [0] * 5
    assert sum(int(text) for text in said) > 5
