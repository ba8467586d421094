"""Leases on generations and environments."""

import fcntl
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from daemon.prefix import lease
from daemon.prefix.lease import (
    describe_lease,
    is_leased,
    leasable_folders,
    leased_folder,
    offer_environment_leases,
    reserve,
    reserve_all,
    withdraw_environment_leases,
)
from daemon.prefix.prefix import Prefix

_LOOK = """
import select, sys
from pathlib import Path
from daemon.prefix.lease import is_leased

print("looking", flush=True)
while not select.select([int(sys.argv[2])], [], [], 0)[0]:
    is_leased(Path(sys.argv[1]))
"""


def test_a_shared_lock_is_a_lease_for_as_long_as_it_is_held(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    assert is_leased(tmp_path)
    assert reserve(tmp_path) is None
    os.close(descriptor)
    assert not is_leased(tmp_path)


def test_nobody_gets_a_lease_on_what_is_reserved(tmp_path: Path) -> None:
    reserved = reserve(tmp_path)
    assert reserved is not None
    descriptor = os.open(tmp_path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        refused = True
    else:
        refused = False
    finally:
        os.close(descriptor)
        os.close(reserved)
    assert refused


def test_who_has_a_lease_is_told(tmp_path: Path) -> None:
    model = subprocess.Popen(
        ["/bin/sh", "-c", 'exec 9< "$1" && flock "$2" 9 && echo leased && read -r _', "sh", tmp_path, "-s"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert model.stdout is not None
    assert model.stdout.readline() == b"leased\n"
    said = describe_lease(tmp_path)
    model.communicate()
    assert said == f"a model has leased it: process {model.pid} (sh)"


def test_who_keeps_others_from_a_lease_is_told(tmp_path: Path) -> None:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    said = describe_lease(tmp_path)
    os.close(descriptor)
    assert "for itself (flock -x)" in said
    assert f"process {os.getpid()} (" in said


def test_a_lease_on_an_environment_is_one_on_its_generation_too(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    (tmp_path / "cuda12.4").symlink_to("a")
    assert leased_folder(tmp_path) is None
    descriptor = os.open(tmp_path / "b", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    assert leased_folder(tmp_path) == tmp_path / "b"
    assert not is_leased(tmp_path / "a")
    with reserve_all(leasable_folders(tmp_path)) as is_reserved:
        assert not is_reserved
    os.close(descriptor)
    with reserve_all(leasable_folders(tmp_path)) as is_reserved:
        assert is_reserved
        assert all(is_leased(folder) for folder in (tmp_path, tmp_path / "a", tmp_path / "b"))
    assert leased_folder(tmp_path) is None


def test_models_are_offered_leases_on_environments_until_that_is_withdrawn(tmp_path: Path) -> None:
    prefix = Prefix(tmp_path)
    prefix.make_directories()
    for _ in range(2):
        offer_environment_leases(prefix)
        assert [path.name for path in prefix.generations.iterdir()] == [".environment-leases"]
    for _ in range(2):
        withdraw_environment_leases(prefix)
        assert list(prefix.generations.iterdir()) == []


@pytest.mark.parametrize("operation", [fcntl.LOCK_EX, fcntl.LOCK_SH])
@pytest.mark.parametrize("pauses", [1, 2, None])
def test_a_look_that_ends_while_this_one_pauses_is_not_taken_for_a_lease(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, operation: int, pauses: int | None
) -> None:
    other = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(other, operation)
    seen: list[float] = []

    def pause(seconds: float) -> None:
        seen.append(seconds)
        if len(seen) == pauses:
            fcntl.flock(other, fcntl.LOCK_UN)

    monkeypatch.setattr(time, "sleep", pause)
    assert is_leased(tmp_path) == (pauses is None)
    os.close(other)


def test_who_looks_whether_there_is_a_lease_is_not_taken_for_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A look takes microseconds, but in the middle it may be without a processor for long.
    for name in ("_PAUSES_BESIDE_A_LOOK_S", "_PAUSES_BESIDE_A_LEASE_S"):
        monkeypatch.setattr(lease, name, (*getattr(lease, name), *[0.1] * 600))
    ends, end = os.pipe()
    lookers = [
        subprocess.Popen([sys.executable, "-c", _LOOK, tmp_path, str(ends)], pass_fds=[ends])
        for _ in range(2)
    ]
    stop = threading.Event()
    threads = [threading.Thread(target=_look_until, args=(tmp_path, stop)) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        found = [is_leased(tmp_path) for _ in range(2000)]
    finally:
        stop.set()
        os.close(end)
        for thread in threads:
            thread.join()
        codes = [(looker.communicate(), looker.returncode)[1] for looker in lookers]
        os.close(ends)
    assert not any(found)
    assert codes == [0, 0]


def _look_until(folder: Path, stop: threading.Event) -> None:
    while not stop.is_set():
        is_leased(folder)
