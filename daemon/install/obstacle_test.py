"""A file in the way is damage of one subject; a full disk concerns all and passes."""

import errno
import os
from pathlib import Path

import pytest

from daemon.errors import DamageError
from daemon.install.obstacle import obstacles_as_damage


def _error(number: int, path: Path | None = None) -> OSError:
    return OSError(number, os.strerror(number), None if path is None else str(path))


@pytest.mark.parametrize("number", [errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOENT, errno.ELOOP])
def test_what_is_in_the_way_is_named_with_its_path(tmp_path: Path, number: int) -> None:
    with (
        pytest.raises(DamageError, match=rf"^{tmp_path}/x: .*move it away if it is not"),
        obstacles_as_damage("subject"),
    ):
        raise _error(number, tmp_path / "x")


def test_without_a_path_the_subject_is_named() -> None:
    with pytest.raises(DamageError, match=r"^g00001: File exists"), obstacles_as_damage("g00001"):
        raise _error(errno.EEXIST)


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EIO])
def test_what_cannot_be_written_to_is_damage_only_inside_the_subjects_own_folder(
    tmp_path: Path, number: int
) -> None:
    with pytest.raises(DamageError), obstacles_as_damage("g00001", tmp_path / "g00001"):
        raise _error(number, tmp_path / "g00001" / "x")
    with pytest.raises(OSError, match="x"), obstacles_as_damage("g00001", tmp_path / "g00001"):
        raise _error(number, tmp_path / "g00002" / "x")
    with pytest.raises(OSError, match="x"), obstacles_as_damage("g00001"):
        raise _error(number, tmp_path / "g00001" / "x")


def test_a_full_disk_passes(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No space left"), obstacles_as_damage("g00001", tmp_path):
        raise _error(errno.ENOSPC, tmp_path / "x")
