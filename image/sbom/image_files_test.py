import hashlib
from pathlib import Path

import pytest

from image.errors import ImageError
from image.sbom.image_files import ImageFiles, file_digests, read_files
from image.sbom.sample_image import DAEMON, sample_layers, write_image


def read(directory: Path, layers: list[dict[str, bytes | str]]) -> ImageFiles:
    return read_files(write_image(directory, layers), lambda _: True)


def test_a_file_of_a_higher_layer_hides_that_of_a_lower_one(tmp_path: Path) -> None:
    files = read(tmp_path / "image", [{"a": b"old", "b": b"kept"}, {"a": b"new"}])
    assert (files.read("a"), files.read("b"), files.read("c")) == (b"new", b"kept", None)


def test_links_are_followed_within_the_image_wherever_they_stand_in_the_path(tmp_path: Path) -> None:
    layers: list[dict[str, bytes | str]] = [
        {"usr/lib/release": b"13", "etc/release": "../usr/lib/release", "doc/a/text": b"a"},
        {"doc/b": "a", "absolute": "/usr/lib", "out": "../../../usr/lib/release"},
    ]
    files = read(tmp_path / "image", layers)
    assert files.read("etc/release") == b"13"
    assert files.read("doc/b/text") == b"a"
    assert files.read("absolute/release") == b"13"
    assert files.read("out") == b"13"


def test_a_link_to_itself_is_no_file(tmp_path: Path) -> None:
    assert read(tmp_path / "image", [{"a": "a"}]).read("a") is None


def test_only_what_is_wanted_is_kept(tmp_path: Path) -> None:
    files = read_files(write_image(tmp_path / "image", [{"a": b"1", "b": b"2"}]), lambda path: path == "b")
    assert (files.read("a"), files.read("b")) == (None, b"2")


def test_a_layer_that_removes_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"a/\.wh\.b removes a file"):
        read(tmp_path / "image", [{"a/.wh.b": b""}])


def test_a_layer_that_is_cut_off_is_an_error(tmp_path: Path) -> None:
    layout = write_image(tmp_path / "image", [{"a": bytes(range(256)) * 100}])
    path = layout.path(layout.layers[0])
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(ImageError, match="cannot be read as a layer"):
        read_files(layout, lambda _: True)


def test_digests_are_those_of_the_files_content(tmp_path: Path) -> None:
    layout = write_image(tmp_path / "image", sample_layers())
    assert file_digests(layout, layout.layers[-1]) == {
        DAEMON: hashlib.sha256(b"print()\n").hexdigest(),
        "opt/monobase/gens/catalog.py": hashlib.sha256(b"\n").hexdigest(),
    }
