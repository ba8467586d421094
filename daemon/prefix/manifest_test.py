import gzip
from pathlib import Path

import pytest

from daemon.errors import DamageError
from daemon.prefix.inventory import InventoryFile
from daemon.prefix.manifest import BytecodePart, Link, Manifest, WheelPart, format_manifest, read_manifest

_MANIFEST = Manifest(
    "python3.11",
    "c" * 64,
    (WheelPart("a" * 64, "b" * 64, "lib/python3.11/site-packages"),),
    (BytecodePart("a" * 64, "cpython-311-3.11.7", "d" * 64, "lib/python3.11/site-packages"),),
    (InventoryFile("bin/a file ü", "e" * 64, 12, 0o755),),
    (Link("bin/python", "../../python with blanks"),),
)


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    path = tmp_path / ".manifest"
    path.write_bytes(format_manifest(_MANIFEST))
    assert read_manifest(path) == _MANIFEST


def test_the_same_manifest_is_the_same_bytes() -> None:
    assert format_manifest(_MANIFEST) == format_manifest(_MANIFEST)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"junk",
        format_manifest(_MANIFEST)[:-9],
        gzip.compress(b"another format\n"),
        gzip.compress(b"monobase-manifest 1\ntarget x\ncontent y\nfile too few\n"),
        gzip.compress(b"monobase-manifest 1\ntarget x\ncontent y\nsurprise 1\n"),
    ],
)
def test_a_damaged_manifest_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / ".manifest"
    path.write_bytes(content)
    with pytest.raises(DamageError, match=str(path)):
        read_manifest(path)


def test_a_missing_manifest_is_damage(tmp_path: Path) -> None:
    with pytest.raises(DamageError, match="No such file"):
        read_manifest(tmp_path / ".manifest")
