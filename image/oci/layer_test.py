import hashlib
import io
import tarfile
from pathlib import Path

import pytest
import zstandard

from image.errors import ImageError
from image.oci.descriptor import LAYER_ZSTD
from image.oci.layer import Layer, compress_layer, format_layer, parse_layer, write_layer

PATH = Path("layer.json")


def member(name: str, size: int = 0, **attributes: object) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.size = size
    for attribute, value in attributes.items():
        setattr(info, attribute, value)
    return info


def unpacked(blob: Path) -> bytes:
    with zstandard.ZstdDecompressor().stream_reader(io.BytesIO(blob.read_bytes())) as stream:
        return stream.read()


def write(folder: Path, level: int = 3) -> tuple[Layer, Path]:
    (folder / "source").write_bytes(b"from a file")
    blob = folder / f"{level}.tar.zst"
    members = [
        (member("etc", type=tarfile.DIRTYPE, mode=0o755), None),
        (member("etc/file", 11, mode=0o4755, uid=1000, gid=8), folder / "source"),
        (member("etc/bytes", 3), b"xyz"),
        (member("etc/link", type=tarfile.SYMTYPE, linkname="file"), None),
        (member("etc/" + "long" * 40 + "ü", 0), None),
    ]
    return write_layer(blob, members, "a test", level), blob


def test_both_digests_and_sizes_are_those_of_the_bytes(tmp_path: Path) -> None:
    layer, blob = write(tmp_path)
    packed, raw = blob.read_bytes(), unpacked(blob)
    assert layer.blob.media_type == LAYER_ZSTD
    assert (layer.blob.digest, layer.blob.size_bytes) == (
        f"sha256:{hashlib.sha256(packed).hexdigest()}",
        len(packed),
    )
    assert (layer.diff_id, layer.tar_bytes) == (f"sha256:{hashlib.sha256(raw).hexdigest()}", len(raw))


def test_members_are_as_they_were_given(tmp_path: Path) -> None:
    _, blob = write(tmp_path)
    with tarfile.open(fileobj=io.BytesIO(unpacked(blob))) as archive:
        found = archive.getmembers()
        contents = {name: archive.extractfile(name) for name in ("etc/file", "etc/bytes")}
        assert {name: stream and stream.read() for name, stream in contents.items()} == {
            "etc/file": b"from a file",
            "etc/bytes": b"xyz",
        }
    assert [each.name for each in found[:4]] == ["etc", "etc/file", "etc/bytes", "etc/link"]
    assert found[4].name == "etc/" + "long" * 40 + "ü"
    assert (found[1].mode, found[1].uid, found[1].gid, found[1].mtime) == (0o4755, 1000, 8, 0)
    assert (found[1].uname, found[1].gname) == ("", "")


def test_the_archive_is_the_same_at_any_level(tmp_path: Path) -> None:
    first, second = write(tmp_path, 1)[0], write(tmp_path, 12)[0]
    assert first.diff_id == second.diff_id


def test_a_layer_of_many_pieces_is_the_same_each_time(tmp_path: Path) -> None:
    content = bytes(range(256)) * 40_000  # more than one job of a thread
    written = [write_layer(tmp_path / "x", [(member("x", len(content)), content)], "x", 1) for _ in range(3)]
    assert written[0] == written[1] == written[2]


def test_an_archive_that_is_there_is_compressed_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"archive" * 500_000)
    layer = compress_layer(tmp_path / "x.tar", tmp_path / "x.zst", "a test", 3)
    assert unpacked(tmp_path / "x.zst") == b"archive" * 500_000
    assert layer.diff_id == f"sha256:{hashlib.sha256(b'archive' * 500_000).hexdigest()}"
    assert layer.created_by == "a test"


def test_the_blob_has_a_checksum_of_its_own(tmp_path: Path) -> None:
    _, blob = write(tmp_path)
    assert zstandard.get_frame_parameters(blob.read_bytes()).has_checksum


def test_a_file_that_is_shorter_than_its_entry_stops_the_layer(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"short")
    with pytest.raises(OSError, match="unexpected end of data"):
        write_layer(tmp_path / "x", [(member("x", 100), tmp_path / "source")], "x", 1)


def test_facts_are_read_as_they_were_written(tmp_path: Path) -> None:
    layer, _ = write(tmp_path)
    assert parse_layer(format_layer(layer), PATH) == layer


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"blob": {}, "diffId": "x", "createdBy": "y", "tarSize": 1}']
)
def test_malformed_facts_are_refused_with_the_file(text: str) -> None:
    with pytest.raises(ImageError, match=r"^layer\.json: is not"):
        parse_layer(text, PATH)
