"""Copies, comparisons and digests of files."""

import hashlib
from pathlib import Path

import pytest

from daemon.host.file_content import copy_file, file_sha256, same_content

_LARGE = bytes(range(256)) * 12_000  # more than a chunk


@pytest.mark.parametrize("content", [b"", b"small", _LARGE])
def test_a_copy_has_content_and_mode_and_an_inode_of_its_own(tmp_path: Path, content: bytes) -> None:
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(content)
    source.chmod(0o755)
    copy_file(source, target)
    assert same_content(source, target)
    assert file_sha256(target) == hashlib.sha256(content).hexdigest()
    assert target.stat().st_mode & 0o777 == 0o755
    assert not target.samefile(source)


def test_a_copy_replaces_nothing(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"new")
    (tmp_path / "b").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        copy_file(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_bytes() == b"old"


def test_one_other_byte_at_the_end_is_a_difference(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(_LARGE + b"a")
    (tmp_path / "b").write_bytes(_LARGE + b"b")
    (tmp_path / "c").write_bytes(_LARGE)
    assert not same_content(tmp_path / "a", tmp_path / "b")
    assert not same_content(tmp_path / "a", tmp_path / "c")
