"""Counting the models that lease a folder."""

import fcntl
import os
from pathlib import Path

from daemon.prefix.lease_count import count_leases, visible_leases


def test_only_shared_locks_of_whole_files_are_leases(tmp_path: Path) -> None:
    locks = tmp_path / "locks"
    locks.write_text(
        "1: FLOCK  ADVISORY  READ 1234 fe:01:77 0 EOF\n"
        "2: FLOCK  ADVISORY  READ 1235 fe:01:77 0 EOF\n"
        "3: FLOCK  ADVISORY  WRITE 1236 fe:01:78 0 EOF\n"
        "3: -> FLOCK  ADVISORY  READ 1237 fe:01:78 0 EOF\n"
        "4: POSIX  ADVISORY  READ 1238 00:2a:79 0 EOF\n"
        "5: OFDLCK ADVISORY  READ -1 00:2a:79 0 EOF\n"
        "nonsense\n"
    )
    assert visible_leases(locks) == {(0xFE, 1, 77): 2}


def test_what_cannot_be_read_shows_no_lease(tmp_path: Path) -> None:
    assert visible_leases(tmp_path / "locks") == {}
    assert count_leases({}, tmp_path / "gone") == 0


def test_the_lock_of_a_folder_is_found_by_its_device_and_inode(tmp_path: Path) -> None:
    status = tmp_path.stat()
    leases = {(os.major(status.st_dev), os.minor(status.st_dev), status.st_ino): 3}
    assert count_leases(leases, tmp_path) == 3
    assert count_leases(leases, tmp_path.parent) == 0


def test_two_locks_of_this_process_are_two_leases(tmp_path: Path) -> None:
    descriptors = [os.open(tmp_path, os.O_RDONLY) for _ in range(2)]
    before = visible_leases()
    for descriptor in descriptors:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    grown = sum(visible_leases().values()) - sum(before.values())
    found = count_leases(visible_leases(), tmp_path)
    for descriptor in descriptors:
        os.close(descriptor)
    # A file system without a device of its own, such as overlayfs, has another number in /proc/locks.
    assert found == 2 or (found == 0 and grown != 0), (found, grown)
