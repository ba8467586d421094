from pathlib import Path

import pytest

from daemon.errors import (
    DiskError,
    IndexAccessError,
    IndexUnreachableError,
    MachineError,
    NotOnIndexError,
    ProgramKilledError,
    WheelContentError,
)
from daemon.prefix.prefix import Prefix
from daemon.uv.failure import failure_of
from gens.errors import MonobaseError

_MISMATCH = """error: Failed to download `packaging==26.3`
  cause: Hash mismatch for `packaging==26.3`

         Expected:
           sha256:aaaa

         Computed:
           sha256:bbbb
"""


@pytest.mark.parametrize(
    ("code", "said", "kind", "told"),
    [
        (1, _MISMATCH, WheelContentError, "packaging==26.3.*expected sha256:aaaa, found sha256:bbbb"),
        (2, "error: No space left on device (os error 28)", DiskError, "no space left"),
        (2, "error: Read-only file system (os error 30)", DiskError, "cannot be written to"),
        (1, "error: error sending request for url (https://x/y)", IndexAccessError, "error sending request"),
        (2, "cause: client error (Connect)\ncause: tcp connect error", IndexUnreachableError, "be reached"),
        (1, "error: HTTP status server error (502 Bad Gateway) for url", IndexUnreachableError, "be reached"),
        (1, "No solution found when resolving\ncause: no version of x", NotOnIndexError, "lacks what a lock"),
        (1, "error: Failed to extract archive: invalid zip archive", WheelContentError, "cannot be unpacked"),
        (-9, "", ProgramKilledError, "ended by SIGKILL"),
        (2, "error: Failed to extract: Too many open files (os error 24)", MachineError, "ulimit -n"),
        (2, "error: Cannot allocate memory (os error 12)", MachineError, "more memory"),
        (2, "error: Disk quota exceeded (os error 122)", DiskError, "quota"),
        (2, "error: Stale file handle (os error 116)", DiskError, "mount it again"),
    ],
)  # fmt: skip
def test_a_failure_of_uv_becomes_the_error_that_says_what_to_do(
    tmp_path: Path, code: int, said: str, kind: type[MonobaseError], told: str
) -> None:
    error = failure_of(["uv", "pip"], code, said, Prefix(tmp_path))
    assert type(error) is kind
    with pytest.raises(kind, match=told):
        raise error


def test_a_full_disk_is_reported_with_its_figures(tmp_path: Path) -> None:
    error = failure_of(["uv"], 2, "No space left on device (os error 28)", Prefix(tmp_path))
    with pytest.raises(DiskError, match=r"[0-9,]+ bytes of [0-9,]+ and [0-9,]+ inodes of [0-9,]+ are free"):
        raise error
