"""Two never hold it, and nobody who can only read gets in the way of it."""

import fcntl
import os
import random
import signal
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from daemon.errors import DiskError
from daemon.host.exclusive_lock import holder_of, try_lock

_WHOLE_FILE = struct.pack("hhqqi0q", fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
_ROOT = Path(__file__).parents[2]


def _python(code: str, *arguments: str | Path) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(_ROOT), *sys.path])}
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


@contextmanager
def _reader(path: Path, what: str) -> Iterator[None]:
    """Start a process that does something to a file for which reading it is enough, and keeps doing it."""
    code = (
        "import fcntl, os, signal, struct, sys\n"
        "signal.signal(signal.SIGIO, signal.SIG_IGN)\n"
        "descriptor = os.open(sys.argv[1], os.O_RDONLY)\n"
        "lock = struct.pack('hhqqi0q', fcntl.F_RDLCK, 0, 0, 0, 0)\n"
        f"{what}\n"
        "print('done', flush=True)\n"
        "sys.stdin.read()\n"
    )
    process = _python(code, path)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "done\n"
        yield
    finally:
        process.communicate()


_HARM = {
    "read lock": "fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, lock)",
    "read lock of the process": "fcntl.fcntl(descriptor, fcntl.F_SETLK, lock)",
    "read lock of a part": (
        "fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, struct.pack('hhqqi0q', fcntl.F_RDLCK, 0, 7, 1, 0))"
    ),
    "flock": "fcntl.flock(descriptor, fcntl.LOCK_EX)",
    "shared flock": "fcntl.flock(descriptor, fcntl.LOCK_SH)",
    "lease to read": "fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)",
    "lease to write": "fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_WRLCK)",
}


@pytest.mark.parametrize("harm", _HARM)
def test_a_reader_cannot_get_in_the_way(tmp_path: Path, harm: str) -> None:
    path = tmp_path / "lock"
    path.touch()
    with _reader(path, _HARM[harm]):
        lock = try_lock(path)
        assert lock is not None
        assert not lock.is_lost()
        assert try_lock(path) is None
        lock.close()
        again = try_lock(path)
        assert again is not None
        again.close()
    assert [entry.name for entry in tmp_path.iterdir()] == ["lock"]


def test_a_reader_that_waits_for_the_lock_gets_in_nobody_s_way_when_it_gets_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = try_lock(path)
    assert lock is not None
    code = (
        "import fcntl, os, struct, sys\n"
        "descriptor = os.open(sys.argv[1], os.O_RDONLY)\n"
        "print('waiting', flush=True)\n"
        "fcntl.fcntl(descriptor, fcntl.F_OFD_SETLKW, struct.pack('hhqqi0q', fcntl.F_RDLCK, 0, 0, 0, 0))\n"
        "print('has it', flush=True)\n"
        "sys.stdin.read()\n"
    )
    reader = _python(code, path)
    assert reader.stdout is not None
    assert reader.stdout.readline() == "waiting\n"
    lock.close()
    assert reader.stdout.readline() == "has it\n"
    again = try_lock(path)
    assert again is not None
    again.close()
    reader.communicate()


@pytest.mark.parametrize("steps", ["successor made", "successor locked and spoilt"])
def test_what_a_killed_contender_left_is_taken_up(tmp_path: Path, steps: str) -> None:
    path = tmp_path / "lock"
    path.touch()
    successor = tmp_path / f"lock.{path.stat().st_ino}"
    successor.touch()
    if steps == "successor made":
        lock = try_lock(path)
    else:
        with _reader(successor, _HARM["read lock"]):
            lock = try_lock(path)
    assert lock is not None
    assert try_lock(path) is None
    assert [entry.name for entry in tmp_path.iterdir()] == ["lock"]
    lock.close()


def test_it_is_lost_when_the_name_stands_for_something_else(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    for harm in (path.unlink, lambda: (tmp_path / "other").replace(path)):
        (tmp_path / "other").touch()
        lock = try_lock(path)
        assert lock is not None
        harm()
        assert lock.is_lost()
        lock.close()


def test_nobody_else_may_read_it_whatever_made_it_and_under_any_umask(tmp_path: Path) -> None:
    old = tmp_path / "old"
    old.touch(0o644)
    for path in (old, tmp_path / "new"):
        lock = try_lock(path)
        assert lock is not None
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert holder_of(path).startswith(f"process {os.getpid()} on ")
        lock.close()


def test_what_is_no_plain_file_is_refused_by_its_name_and_left_alone(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("not ours")
    (tmp_path / "link").symlink_to(target)
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "fifo")
    for name in ("link", "folder", "fifo"):
        with pytest.raises(DiskError, match=f"{name}: is not a regular file"):
            try_lock(tmp_path / name)
    assert target.read_text() == "not ours"


_CONTENDER = """
import fcntl, os, random, sys, time
from pathlib import Path
from daemon.host.exclusive_lock import try_lock
path, witness = Path(sys.argv[1]), os.open(sys.argv[2], os.O_RDWR | os.O_CREAT)
random.seed(int(sys.argv[3]))

def is_alive(process):
    # A process that was killed gives up its locks in no order: it may hold the witness when the lock is free.
    try:
        facts = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return facts[0] not in "ZX" and not int(facts[6]) & 0x4  # PF_EXITING

def take_witness():  # raises when another one, who lives, holds it, too
    while True:
        try:
            fcntl.flock(witness, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if is_alive(int(os.pread(witness, 20, 0) or 0)):
                raise
    os.pwrite(witness, f"{os.getpid():20}".encode(), 0)

print("begun", flush=True)
held = 0
while not os.path.exists(sys.argv[4]):
    lock = try_lock(path)
    if lock is None:
        time.sleep(random.uniform(0, 0.001))
        continue
    take_witness()
    time.sleep(random.uniform(0, 0.002))
    if lock.is_lost():
        sys.exit("lost")
    fcntl.flock(witness, fcntl.LOCK_UN)
    lock.close()
    held += 1
print(held)
"""

_ATTACKER = """
import fcntl, os, random, signal, struct, sys, time
from pathlib import Path
signal.signal(signal.SIGIO, signal.SIG_IGN)
random.seed(int(sys.argv[2]))
lock = struct.pack('hhqqi0q', fcntl.F_RDLCK, 0, 0, 0, 0)
folder = Path(sys.argv[1])
count = 0
print("begun", flush=True)
while not os.path.exists(sys.argv[3]):
    taken = []
    for name in os.listdir(folder):
        try:
            descriptor = os.open(folder / name, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            continue
        taken.append(descriptor)
        try:
            what = random.randrange(4)
            if what == 0:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            elif what == 1:
                fcntl.fcntl(descriptor, fcntl.F_SETLEASE, random.choice([fcntl.F_RDLCK, fcntl.F_WRLCK]))
            else:
                fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, lock)
        except OSError:
            continue
        count += 1
    time.sleep(random.choice([0, 0, 0.001, 0.01]))
    for descriptor in taken:
        os.close(descriptor)
print(count)
"""


def test_of_many_contenders_among_readers_that_do_harm_two_never_hold_it(tmp_path: Path) -> None:
    folder, done = tmp_path / "locks", tmp_path / "done"
    folder.mkdir()

    def contender(number: int) -> subprocess.Popen[str]:
        return _python(_CONTENDER, folder / "lock", tmp_path / "witness", str(number), done)

    seed = int.from_bytes(os.urandom(4))
    contenders = [contender(number) for number in range(6)]
    attackers = [_python(_ATTACKER, folder, str(seed + number), done) for number in range(3)]
    for process in (*contenders, *attackers):
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
    chance = random.Random(seed)  # noqa: S311
    replaced: set[int] = set()
    # Until the attack has done what it is for, which takes as long as the machine is slow.
    for number in range(200):
        if number >= 12 and len(replaced) > 2:
            break
        time.sleep(0.2)
        victim = chance.randrange(len(contenders))
        assert contenders[victim].poll() is None, f"seed {seed}"
        contenders[victim].send_signal(signal.SIGKILL)
        contenders[victim].communicate()
        contenders[victim] = contender(100 + number)
        replaced.add((folder / "lock").stat().st_ino)
    done.touch()
    said = [process.communicate()[0].split()[-1] for process in contenders]
    assert [process.returncode for process in contenders] == [0] * len(contenders), f"seed {seed}"
    assert sum(map(int, said)) > 20
    assert sum(int(process.communicate()[0]) for process in attackers) > 20
    assert len(replaced) > 2  # the attack did what it is for
    lock = try_lock(folder / "lock")
    assert lock is not None
    assert len(list(folder.iterdir())) == 1
