"""Tests of layers that are compressed in blocks."""

import gzip
import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from tests.bench.cold_start import large_layer
from tests.bench.cold_start.large_layer import write_large_layer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "venv"
    (made / "lib").mkdir(parents=True)
    (made / "lib" / "first.so").write_bytes(bytes(range(256)) * 1000)
    (made / "lib" / "link.so").symlink_to("first.so")
    (made / "second.py").write_text("print('second')\n")
    return made


def test_a_layer_of_several_blocks_is_one_archive_with_the_digests_that_it_names(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_layer, "_BLOCK_BYTES", 50_000)
    layer = write_large_layer(tmp_path / "blob", folder, "opt/venv", "a test")
    blob = (tmp_path / "blob").read_bytes()
    tar = gzip.decompress(blob)
    assert layer.blob.digest == f"sha256:{hashlib.sha256(blob).hexdigest()}"
    assert layer.blob.size_bytes == len(blob)
    assert layer.diff_id == f"sha256:{hashlib.sha256(tar).hexdigest()}"
    assert layer.tar_bytes == len(tar) > 5 * 50_000
    with tarfile.open(fileobj=io.BytesIO(tar)) as archive:
        names = [member.name for member in archive]
        assert {"opt/venv/lib/first.so", "opt/venv/lib/link.so", "opt/venv/second.py"} <= set(names)
        content = archive.extractfile("opt/venv/lib/first.so")
        assert content is not None
        assert content.read() == (folder / "lib" / "first.so").read_bytes()
