"""A part of a blob: counted, hashed, dropped, and a full disk is one message."""

import hashlib
import io
from pathlib import Path

import pytest

from tools.mirror.blob_part import BlobPart
from tools.mirror.errors import DiskError

PATH = Path("here")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_what_the_file_has_counts_as_received() -> None:
    part = BlobPart(io.BytesIO(b"abc"), PATH)
    part.write(b"def")
    assert (part.received_bytes, part.sha256) == (6, _sha256(b"abcdef"))


def test_a_part_begins_at_its_base_and_ends_with_its_size() -> None:
    file = io.BytesIO(b"headabctail")
    part = BlobPart(file, PATH, 4, 3)
    assert (part.received_bytes, part.sha256) == (3, _sha256(b"abc"))
    part.cut()
    assert file.getvalue() == b"headabc"


def test_a_restart_drops_only_the_part() -> None:
    file = io.BytesIO(b"headabc")
    part = BlobPart(file, PATH, 4)
    part.restart()
    part.write(b"x")
    assert file.getvalue() == b"headx"
    assert (part.received_bytes, part.sha256) == (1, _sha256(b"x"))


def test_a_full_disk_is_one_message_with_what_to_do() -> None:
    with Path("/dev/full").open("r+b", buffering=0) as file:
        part = BlobPart(file, Path("mirror/x"), 0, 0)
        with pytest.raises(DiskError, match="mirror/x: the disk is full; make room and run"):
            part.write(b"x")
