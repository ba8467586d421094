import hashlib
import os
from pathlib import Path

from daemon.host.known_contents import KnownContents


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_an_inode_is_read_once_however_many_names_it_has(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"content")
    os.link(tmp_path / "one", tmp_path / "two")
    known = KnownContents(jobs=2)
    known.read((str(path), path.lstat()) for path in (tmp_path / "one", tmp_path / "two"))
    assert known.digest(str(tmp_path / "two"), (tmp_path / "two").lstat()) == _sha256(b"content")
    assert known.read_bytes == len(b"content")


def test_what_was_written_to_since_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    known = KnownContents(jobs=1)
    known.digest(str(path), path.lstat())
    path.write_bytes(b"CONTENT")
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    assert known.digest(str(path), path.lstat()) == _sha256(b"CONTENT")


def test_what_was_read_elsewhere_need_not_be_read(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    known = KnownContents(jobs=1)
    known.record(path.lstat(), "a digest")
    assert known.digest(str(path), path.lstat()) == "a digest"
    assert known.read_bytes == 0
    assert list(known.snapshot().values()) == ["a digest"]
