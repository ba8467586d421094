"""Turns errors of the system into errors of Monobase."""

import errno
from pathlib import Path

import pytest

from daemon.errors import DiskError, MachineError
from daemon.host.system_error import explain, explain_text, full_disk_message, system_errors
from gens.errors import MonobaseError


@pytest.mark.parametrize(
    ("number", "kind", "told"),
    [
        (errno.ENOSPC, DiskError, "no space left"),
        (errno.EDQUOT, DiskError, "quota is used up"),
        (errno.EROFS, DiskError, "writable mount"),
        (errno.ESTALE, DiskError, "mount it again"),
        (errno.EXDEV, DiskError, "one mount"),
        (errno.ENOLCK, DiskError, "no locks"),
        (errno.EIO, DiskError, "kernel's log"),
        (errno.ENOMEM, MachineError, "more memory"),
        (errno.EMFILE, MachineError, "ulimit -n"),
        (errno.ENFILE, MachineError, "file-max"),
        (errno.EAGAIN, MachineError, "pids.max"),
    ],
)
def test_each_refusal_has_an_error_that_says_what_to_do(
    tmp_path: Path, number: int, kind: type[MonobaseError], told: str
) -> None:
    with pytest.raises(kind, match=told), system_errors(tmp_path):
        raise OSError(number, "what the system says", str(tmp_path / "file"))


def test_too_little_memory_and_threads_are_told_as_well(tmp_path: Path) -> None:
    assert isinstance(explain(MemoryError(), tmp_path), MachineError)
    assert isinstance(explain(RuntimeError("can't start new thread"), tmp_path), MachineError)


def test_a_fault_of_ours_stays_one(tmp_path: Path) -> None:
    for fault in (ValueError("x"), RuntimeError("x"), OSError("no number"), OSError(errno.EBADF, "x")):
        assert explain(fault, tmp_path) is None


@pytest.mark.parametrize("number", [errno.EEXIST, errno.ENOTDIR, errno.ELOOP])
def test_what_is_in_the_way_is_named_with_its_path(tmp_path: Path, number: int) -> None:
    error = explain(OSError(number, "x", str(tmp_path / "file")), tmp_path)
    assert isinstance(error, DiskError)
    assert str(error).startswith(f"{tmp_path / 'file'}: ")


def test_a_number_in_what_a_program_said_counts_only_if_it_means_the_same_whatever_it_did(
    tmp_path: Path,
) -> None:
    assert isinstance(explain_text("failed: Too many open files (os error 24)", tmp_path), MachineError)
    assert isinstance(explain_text("failed: Input/output error (os error 5)", tmp_path), DiskError)
    assert explain_text("failed: No such file (os error 2)", tmp_path) is None
    assert explain_text("failed", tmp_path) is None


def test_a_full_disk_is_told_with_the_room_if_there_is_a_disk_to_ask(tmp_path: Path) -> None:
    assert "bytes of" in full_disk_message(tmp_path)
    assert full_disk_message(tmp_path / "nowhere", "the quota") == f"{tmp_path / 'nowhere'}: the quota"


def test_an_error_that_is_no_refusal_comes_through(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="no number"), system_errors(tmp_path):
        raise OSError("no number")
