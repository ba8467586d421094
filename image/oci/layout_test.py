import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from image.errors import ImageError
from image.oci.descriptor import INDEX, LAYER_GZIP, MANIFEST, Descriptor, descriptor_of
from image.oci.layout import Layout, read_layout, to_json_bytes, write_layout

CONFIG = b'{"os":"linux"}'


def blobs(folder: Path, *contents: bytes) -> list[tuple[Descriptor, Path]]:
    found = []
    for number, content in enumerate(contents):
        path = folder / f"blob{number}"
        path.write_bytes(content)
        found.append((descriptor_of(LAYER_GZIP, content), path))
    return found


def write(folder: Path, *contents: bytes) -> Layout:
    layers = blobs(folder, *(contents or (b"lower", b"upper")))
    return write_layout(folder / "image", CONFIG, layers, {"org.opencontainers.image.title": "x"})


def test_a_layout_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = write(tmp_path)
    assert read_layout(tmp_path / "image") == written
    assert [written.path(blob).read_bytes() for blob in written.blobs] == [b"lower", b"upper", CONFIG]


def test_the_folder_is_what_the_specification_asks_for(tmp_path: Path) -> None:
    written = write(tmp_path)
    folder = tmp_path / "image"
    assert json.loads((folder / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((folder / "index.json").read_bytes())
    assert (index["schemaVersion"], index["mediaType"]) == (2, INDEX)
    assert index["manifests"] == [written.manifest.to_json()]
    # By which umoci and others find it.
    assert index["manifests"][0]["annotations"] == {"org.opencontainers.image.ref.name": "latest"}
    manifest = json.loads(written.path(written.manifest).read_bytes())
    assert (manifest["schemaVersion"], manifest["mediaType"]) == (2, MANIFEST)
    assert [layer["mediaType"] for layer in manifest["layers"]] == [LAYER_GZIP, LAYER_GZIP]
    assert manifest["annotations"] == {"org.opencontainers.image.title": "x"}
    assert {path.name for path in folder.iterdir()} == {"blobs", "index.json", "oci-layout"}
    assert len(list((folder / "blobs" / "sha256").iterdir())) == 4


def test_the_same_image_has_one_digest(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert write(tmp_path / "a").manifest == write(tmp_path / "b").manifest


def test_two_layers_may_be_one_blob(tmp_path: Path) -> None:
    layers = blobs(tmp_path, b"same", b"same")
    for _, path in layers:
        path.chmod(0o444)  # as Bazel's outputs are
    written = write_layout(tmp_path / "image", CONFIG, layers, {})
    assert read_layout(tmp_path / "image").layers == written.layers
    assert [path.read_bytes() for _, path in layers] == [b"same", b"same"]


def test_a_link_to_a_blob_becomes_a_file(tmp_path: Path) -> None:
    ((descriptor, path),) = blobs(tmp_path, b"layer")
    (tmp_path / "link").symlink_to(path)
    written = write_layout(tmp_path / "image", CONFIG, [(descriptor, tmp_path / "link")], {})
    assert not written.path(descriptor).is_symlink()
    assert written.path(descriptor).read_bytes() == b"layer"


def test_a_blob_on_another_file_system_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError(18, f"cross-device link: {source}, {target}")

    monkeypatch.setattr("os.link", refuse)
    written = write(tmp_path)
    assert read_layout(tmp_path / "image") == written


def broken_index(change: Callable[[dict[str, Any]], None]) -> Callable[[Layout], Path]:
    def apply(layout: Layout) -> Path:
        path = layout.directory / "index.json"
        index = json.loads(path.read_bytes())
        change(index)
        path.write_bytes(to_json_bytes(index))
        return path

    return apply


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda index: index.pop("manifests"), "expected exactly one manifest, found None"),
        (lambda index: index["manifests"].clear(), "expected exactly one manifest, found []"),
        (lambda index: index["manifests"].append({}), "expected exactly one manifest, found "),
        (lambda index: index["manifests"][0].pop("size"), "is not a descriptor"),
        (lambda index: index["manifests"][0].update(digest="sha256:../../config"), "is not a descriptor"),
    ],
)
def test_an_index_of_another_kind_is_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], message: str
) -> None:
    path = broken_index(change)(write(tmp_path))
    with pytest.raises(ImageError) as caught:
        read_layout(tmp_path / "image")
    assert str(caught.value).startswith(f"{path}: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("layers", [None, {}, "x", [1]])
def test_a_manifest_without_a_list_of_layers_is_refused(tmp_path: Path, layers: object) -> None:
    written = write(tmp_path)
    path = written.path(written.manifest)
    path.write_bytes(to_json_bytes(json.loads(path.read_bytes()) | {"layers": layers}))
    with pytest.raises(ImageError, match=str(path)):
        read_layout(tmp_path / "image")


@pytest.mark.parametrize("damage", ["missing", "short"])
@pytest.mark.parametrize("number", [0, 1, 2])
def test_a_blob_that_is_missing_or_short_is_named(tmp_path: Path, number: int, damage: str) -> None:
    written = write(tmp_path)
    path = written.path(written.blobs[number])
    path.unlink()
    if damage == "short":
        path.write_bytes(b"x")
    with pytest.raises(ImageError, match=f"^{path}: is missing, or does not have the "):
        read_layout(tmp_path / "image")


@pytest.mark.parametrize("content", [b"", b"no JSON", b"[]", b"\xff"])
def test_an_index_that_is_no_json_object_is_refused(tmp_path: Path, content: bytes) -> None:
    write(tmp_path)
    path = tmp_path / "image" / "index.json"
    path.write_bytes(content)
    with pytest.raises(ImageError, match=f"^{path}: is not"):
        read_layout(tmp_path / "image")


def test_a_folder_that_is_no_layout_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"index\.json: is not readable as a part of an OCI layout"):
        read_layout(tmp_path)
