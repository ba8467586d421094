import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from image.errors import ImageError
from image.oci.descriptor import INDEX
from image.oci.image_index import ImageIndex, read_content, write_index
from image.oci.layout import Layout, read_layout
from tests.registry.sample_layout import write_sample_index, write_sample_layout

SEEDS = {"amd64": 1, "arm64": 2}


@pytest.fixture
def index(tmp_path: Path) -> ImageIndex:
    return write_sample_index(tmp_path / "index", SEEDS)


def text(index: ImageIndex) -> dict[str, object]:
    found: dict[str, object] = json.loads(index.path(index.root).read_bytes())
    return found


def test_an_index_is_read_as_it_was_written(index: ImageIndex) -> None:
    assert read_content(index.directory) == index


def test_the_index_names_each_image_with_its_platform(index: ImageIndex) -> None:
    found = text(index)
    assert (found["schemaVersion"], found["mediaType"]) == (2, INDEX)
    manifests = found["manifests"]
    assert isinstance(manifests, list)
    assert [entry["platform"] for entry in manifests] == [
        {"architecture": "amd64", "os": "linux"},
        {"architecture": "arm64", "os": "linux"},
    ]
    assert [entry["digest"] for entry in manifests] == [image.manifest.digest for image in index.images]


def test_what_all_images_say_of_themselves_the_index_says_too(index: ImageIndex) -> None:
    assert text(index)["annotations"] == {"org.opencontainers.image.title": "sample"}


def test_the_images_keep_their_digests_and_share_the_blobs_that_are_the_same(
    index: ImageIndex, tmp_path: Path
) -> None:
    alone = write_sample_layout(tmp_path / "alone", [1000, 501], compression="gzip", architecture="amd64")
    assert index.image("amd64").manifest.digest == alone.manifest.digest
    first, second = index.images
    assert first.layers[0] == second.layers[0]
    # A shared layer, a layer of each, and a configuration of each; two manifests and the index.
    assert len(index.blobs) == 5
    assert len(list((index.directory / "blobs" / "sha256").iterdir())) == 8


def test_the_same_images_give_the_same_index(index: ImageIndex, tmp_path: Path) -> None:
    again = write_sample_index(tmp_path / "again", SEEDS)
    assert again.root.digest == index.root.digest


def test_a_folder_of_one_image_is_read_as_such(tmp_path: Path) -> None:
    layout = write_sample_layout(tmp_path / "one", [10])
    found = read_content(tmp_path / "one")
    assert isinstance(found, Layout)
    assert found == layout
    assert found.manifests == (found.root,) == (found.manifest,)


def test_who_needs_one_image_is_told_that_the_folder_holds_several(index: ImageIndex) -> None:
    with pytest.raises(ImageError, match=rf"^{re.escape(str(index.directory))}: holds an index of images"):
        read_layout(index.directory)


def test_an_architecture_without_an_image_is_named_with_those_that_have_one(index: ImageIndex) -> None:
    with pytest.raises(ImageError, match=r": has no image for riscv64; it has images for amd64, arm64$"):
        index.image("riscv64")


def test_two_images_of_one_architecture_are_refused(tmp_path: Path) -> None:
    layouts = [write_sample_layout(tmp_path / name, [number]) for number, name in enumerate("ab")]
    with pytest.raises(ImageError, match=r": two of the images are for one architecture: amd64, amd64$"):
        write_index(tmp_path / "index", layouts)


@pytest.mark.parametrize("manifests", [None, [], {}, [{"digest": "x"}]])
def test_a_malformed_index_is_refused(index: ImageIndex, manifests: object) -> None:
    path = index.path(index.root)
    path.write_text(json.dumps({"manifests": manifests}))
    with pytest.raises(ImageError, match=re.escape(str(path))):
        read_content(index.directory)


def test_an_image_that_is_missing_is_named(index: ImageIndex) -> None:
    path = index.path(index.images[1].layers[1])
    path.unlink()
    with pytest.raises(ImageError, match=re.escape(str(path))):
        read_content(index.directory)


def test_skopeo_finds_both_images_in_the_folder(index: ImageIndex) -> None:
    skopeo = shutil.which("skopeo")
    if skopeo is None:
        pytest.skip("skopeo is not on the PATH; the toolbox of ./bazelw has it")
    for image in index.images:
        done = subprocess.run(
            [skopeo, "inspect", "--override-arch", image.manifest.architecture, f"oci:{index.directory}"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert found["Architecture"] == image.manifest.architecture
        assert found["Layers"] == [layer.digest for layer in image.layers]
