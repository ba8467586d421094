"""Leases on a generation."""

import fcntl
import os
from pathlib import Path

from daemon.lease import is_leased, reserve


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
