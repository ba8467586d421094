"""Leases on a generation."""

import fcntl
import os
import subprocess
from pathlib import Path

from daemon.prefix.lease import describe_lease, is_leased, reserve


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
