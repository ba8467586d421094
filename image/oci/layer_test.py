import gzip
import hashlib
import tarfile
from pathlib import Path

import pytest

from image.errors import ImageError
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


def test_members_are_as_they_were_given(tmp_path: Path) -> None:
    path = tmp_path / "layer.tar.gz"
    program = tarfile.TarInfo("bin/program")
    program.mode, program.uid, program.gid, program.size = 0o4755, 1000, 8, 11
    (tmp_path / "source").write_bytes(b"from a file")
    folder, link = tarfile.TarInfo("bin"), tarfile.TarInfo("bin/link")
    folder.type, link.type, link.linkname = tarfile.DIRTYPE, tarfile.SYMTYPE, "program"
    long = tarfile.TarInfo("bin/" + "long" * 40 + "ü")
    write_layer(path, [(folder, None), (program, tmp_path / "source"), (link, None), (long, None)], "files")
    with tarfile.open(path, mode="r:gz") as archive:
        found = archive.getmembers()
        stream = archive.extractfile("bin/program")
        assert stream is not None
        assert stream.read() == b"from a file"
    assert [member.name for member in found] == ["bin", "bin/program", "bin/link", long.name]
    assert (found[1].mode, found[1].uid, found[1].gid, found[1].mtime) == (0o4755, 1000, 8, 0)
    assert (found[1].uname, found[1].gname) == ("", "")
    assert found[2].linkname == "program"


def test_a_blob_has_no_time_and_no_name_of_its_making(tmp_path: Path) -> None:
    for name in ("one.tar.gz", "another.tar.gz"):
        write_layer(tmp_path / name, members(10, 3), "files")
    blob = (tmp_path / "one.tar.gz").read_bytes()
    assert blob == (tmp_path / "another.tar.gz").read_bytes()
    flags, time = blob[3], blob[4:8]
    assert (flags & 0b1000, time) == (0, b"\0\0\0\0")


def test_nothing_is_left_beside_a_layer(tmp_path: Path) -> None:
    write_layer(tmp_path / "layer.tar.gz", members(10, 3), "files")
    assert [path.name for path in tmp_path.iterdir()] == ["layer.tar.gz"]


def test_a_file_that_is_shorter_than_its_entry_stops_the_layer(tmp_path: Path) -> None:
    (tmp_path / "source").write_bytes(b"short")
    entry = tarfile.TarInfo("x")
    entry.size = 100
    with pytest.raises(OSError, match="unexpected end of data"):
        write_layer(tmp_path / "layer.tar.gz", [(entry, tmp_path / "source")], "files")


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"blob": {}, "diffId": "x", "createdBy": "y", "tarSize": 1}']
)
def test_malformed_facts_are_refused_with_the_file(text: str) -> None:
    with pytest.raises(ImageError, match=r"^layer\.json: is not"):
        parse_layer(text, Path("layer.json"))
