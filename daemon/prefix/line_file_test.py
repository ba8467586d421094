import gzip
import hashlib
import zlib
from pathlib import Path

import pytest

from daemon.errors import DamageError, NewerFormatError
from daemon.prefix.line_file import (
    file_and_text_digest,
    format_lines,
    has_digest,
    read_lines,
    text_digest,
)


def _compressed_otherwise(content: bytes) -> bytes:
    return gzip.compress(gzip.decompress(content), compresslevel=1, mtime=7)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    lines = ["a b", "", "  blanks ", "\udcff no UTF-8", "last"]
    (tmp_path / "file").write_bytes(format_lines("manifest", lines))
    assert read_lines(tmp_path / "file", "manifest") == lines


def test_no_lines_are_no_lines(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(format_lines("inventory", []))
    assert read_lines(tmp_path / "file", "inventory") == []


def test_a_line_that_would_be_read_as_two_is_not_written() -> None:
    with pytest.raises(ValueError, match="holds a line break"):
        format_lines("manifest", ["a\nb"])


def test_the_digest_is_that_of_the_text_whatever_compressed_it(tmp_path: Path) -> None:
    content = format_lines("manifest", ["x" * 1000])
    (tmp_path / "one").write_bytes(content)
    (tmp_path / "other").write_bytes(_compressed_otherwise(content))
    assert (tmp_path / "one").read_bytes() != (tmp_path / "other").read_bytes()
    digest = text_digest(tmp_path / "one")
    assert text_digest(tmp_path / "other") == digest
    assert has_digest(tmp_path / "other", digest)


def test_a_digest_that_an_earlier_release_took_of_the_file_still_counts(tmp_path: Path) -> None:
    content = format_lines("manifest", ["x"])
    (tmp_path / "file").write_bytes(content)
    assert has_digest(tmp_path / "file", hashlib.sha256(content).hexdigest())
    assert not has_digest(tmp_path / "file", hashlib.sha256(b"other").hexdigest())


def test_a_file_without_a_version_is_of_the_first_release(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(gzip.compress(b"one\ntwo\n"))
    assert read_lines(tmp_path / "file", "inventory") == ["one", "two"]
    (tmp_path / "file").write_bytes(gzip.compress(b""))
    assert read_lines(tmp_path / "file", "inventory") == []


def test_a_newer_version_is_told_and_is_no_damage(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(gzip.compress(b"monobase-manifest 2\nwhatever\n"))
    with pytest.raises(NewerFormatError, match="written by a newer monobase: has manifest 2"):
        read_lines(tmp_path / "file", "manifest")


@pytest.mark.parametrize(
    "content",
    [b"", b"no gzip", gzip.compress(b"x" * 100)[:-9], gzip.compress(b"x")[:20] + zlib.compress(b"")],
)  # fmt: skip
def test_a_file_that_is_cut_or_no_gzip_is_damaged(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "file").write_bytes(content)
    with pytest.raises(DamageError, match="is damaged"):
        read_lines(tmp_path / "file", "manifest")
    assert not has_digest(tmp_path / "file", "0" * 64)


def test_a_file_of_another_kind_or_a_folder_is_damage(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(format_lines("inventory", []))
    with pytest.raises(DamageError, match="should be a manifest"):
        read_lines(tmp_path / "file", "manifest")
    with pytest.raises(DamageError, match="cannot be read: Is a directory"):
        read_lines(tmp_path, "manifest")


def test_digests_of_a_newer_format_are_refused_if_the_file_is_what_it_should_be(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(gzip.compress(b"monobase-manifest 999\nwhat nobody knows\n"))
    with pytest.raises(NewerFormatError, match="manifest 999"):
        file_and_text_digest(path, "manifest")
    assert file_and_text_digest(path, "inventory") == file_and_text_digest(path)
    assert file_and_text_digest(path)[1] == hashlib.sha256(gzip.decompress(path.read_bytes())).hexdigest()


def test_digests_are_taken_of_what_is_damaged_too(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"not gzip")
    assert file_and_text_digest(path, "manifest") == (hashlib.sha256(b"not gzip").hexdigest(), "")
