import gzip
import hashlib
import tarfile
from pathlib import Path

import pytest

from image.oci.layer import Layer, compress_layer, format_layer, parse_layer, write_layer


def members(size_bytes: int, count: int) -> list[tuple[tarfile.TarInfo, bytes]]:
    found = []
    for number in range(count):
        member = tarfile.TarInfo(f"file{number}")
        member.size = size_bytes
        found.append((member, bytes([number % 256]) * size_bytes))
    return found


def check_facts(layer: Layer, path: Path) -> bytes:
    """Hold what is said of a layer against its blob, and give the archive in it."""
    blob = path.read_bytes()
    archive = gzip.decompress(blob)
    assert layer.blob.digest == f"sha256:{hashlib.sha256(blob).hexdigest()}"
    assert layer.blob.size_bytes == len(blob)
    assert layer.diff_id == f"sha256:{hashlib.sha256(archive).hexdigest()}"
    assert layer.tar_bytes == len(archive)
    return archive


# Archives that end at any place of a stream's buffer: what is left in it belongs to the layer as well.
@pytest.mark.parametrize("size_bytes", [0, 1, 4096, 100_000, 343_565])
@pytest.mark.parametrize("count", [1, 7, 30])
def test_a_layer_holds_all_that_was_written_to_its_last_byte(
    tmp_path: Path, size_bytes: int, count: int
) -> None:
    path = tmp_path / "layer.tar.gz"
    written = members(size_bytes, count)
    archive = check_facts(write_layer(path, written, "files"), path)
    assert len(archive) % tarfile.RECORDSIZE == 0
    with tarfile.open(path, mode="r:gz") as opened:
        read = {}
        for member in opened:
            stream = opened.extractfile(member)
            read[member.name] = None if stream is None else stream.read()
    assert read == {member.name: content for member, content in written}


def test_an_archive_that_is_there_becomes_a_layer_of_the_same_bytes(tmp_path: Path) -> None:
    source, path = tmp_path / "a.tar", tmp_path / "layer.tar.gz"
    source.write_bytes(b"any archive" * 1000)
    assert check_facts(compress_layer(source, path, "files"), path) == source.read_bytes()


def test_what_is_known_of_a_layer_is_read_as_it_was_written(tmp_path: Path) -> None:
    layer = write_layer(tmp_path / "layer.tar.gz", members(10, 1), "files")
    assert parse_layer(format_layer(layer), tmp_path) == layer
