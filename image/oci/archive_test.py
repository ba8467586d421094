import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import pytest

from image.errors import ImageError
from image.oci.archive import write_archive
from image.oci.layout import Layout, read_layout
from tests.registry.sample_layout import write_sample_layout

NAME = "localhost/team/image:v1"


@pytest.fixture
def image(tmp_path: Path) -> Layout:
    return write_sample_layout(tmp_path / "image", [50_000, 1000, 1000])


def archive(image: Layout, name: str = NAME) -> bytes:
    stream = io.BytesIO()
    write_archive(image, name, stream, lambda _: None)
    return stream.getvalue()


def test_an_archive_is_the_layout_with_a_name(image: Layout, tmp_path: Path) -> None:
    with tarfile.open(fileobj=io.BytesIO(archive(image))) as tar:
        tar.extractall(tmp_path / "out")  # noqa: S202 (of our own making)

    unpacked = read_layout(tmp_path / "out")
    assert (unpacked.manifest.digest, unpacked.blobs) == (image.manifest.digest, image.blobs)
    assert unpacked.manifest.annotations["io.containerd.image.name"] == NAME
    assert unpacked.manifest.annotations["org.opencontainers.image.ref.name"] == "v1"
    for blob in (image.manifest, *image.blobs):
        assert unpacked.path(blob).read_bytes() == image.path(blob).read_bytes()


def test_dockers_manifest_names_files_of_the_layout_in_order(image: Layout) -> None:
    with tarfile.open(fileobj=io.BytesIO(archive(image))) as tar:
        members = tar.getnames()
        content = tar.extractfile("manifest.json")
        assert content is not None
        (entry,) = json.load(content)

    assert entry["RepoTags"] == [NAME]
    assert [entry["Config"], *entry["Layers"]] == [
        f"blobs/{blob.digest.replace(':', '/')}" for blob in (image.config, *image.layers)
    ]
    assert set(entry["Layers"]) <= set(members)


def test_a_blob_that_stands_twice_in_an_image_stands_once_in_the_archive(tmp_path: Path) -> None:
    image = write_sample_layout(tmp_path / "image", [])
    twice = Layout(image.directory, image.manifest, image.config, (image.config, image.config))

    with tarfile.open(fileobj=io.BytesIO(archive(twice))) as tar:
        names = tar.getnames()

    assert len(names) == len(set(names))


def test_the_same_image_and_name_give_the_same_bytes(image: Layout, tmp_path: Path) -> None:
    again = write_sample_layout(tmp_path / "again", [50_000, 1000, 1000])

    assert archive(image) == archive(again)
    assert archive(image) != archive(image, "localhost/team/image:v2")


def test_all_bytes_of_the_blobs_are_told(image: Layout) -> None:
    told: list[int] = []

    write_archive(image, NAME, io.BytesIO(), told.append)

    assert sum(told) == sum(blob.size_bytes for blob in (image.manifest, *image.blobs))


def test_a_blob_of_another_size_is_named(image: Layout) -> None:
    path = image.path(image.layers[0])
    path.write_bytes(b"short")

    with pytest.raises(ImageError, match=path.name):
        archive(image)


@pytest.mark.parametrize("transport", ["oci-archive", "docker-archive"])
def test_skopeo_reads_an_archive_both_ways(image: Layout, tmp_path: Path, transport: str) -> None:
    skopeo = shutil.which("skopeo")
    if skopeo is None:
        pytest.skip("skopeo is not on the PATH; the toolbox of ./bazelw has it")
    path = tmp_path / "image.tar"
    path.write_bytes(archive(image))

    done = subprocess.run(
        [skopeo, "inspect", "--tmpdir", tmp_path, "--config", f"{transport}:{path}"],
        capture_output=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["config"]["Cmd"] == ["/file0"]
