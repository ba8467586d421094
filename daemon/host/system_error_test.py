"""What the system refuses is told by an error of ours."""

import errno
from pathlib import Path

import pytest

from daemon.errors import DiskError, MachineError
from daemon.host.system_error import explain, system_errors
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
