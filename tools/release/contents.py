"""The contents of a release: the places of its parts, and the files that are made of them."""

import hashlib
import io
import shutil
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import deflate

from image.architecture import ARCHITECTURES
from image.errors import ImageError
from image.oci.image_index import ImageIndex, read_content
from tools.deploy.base import FILE_NAME, Image, pinned, read_base
from tools.deploy.chart.chart import make_chart, to_archive
from tools.deploy.chart.sources import read_sources
from tools.deploy.rendering import render, to_yaml

DAEMON = "monobase-daemon"
RUNTIME = "monobase-runtime"
BUILDER = "monobase-builder"
# The folder of each image's targets `image` and `sbom`.
_FOLDERS = {DAEMON: "daemon", RUNTIME: "runtime", BUILDER: "runtime/builder"}
SUMS = "SHA256SUMS"
_LEVEL = 9


@dataclass(frozen=True, slots=True)
class ReleasedImage:
    """An image of a release.

    Attributes:
        name: Name of its repository below the registry.
        index: The images for all architectures.
        bills: Its bills of materials (CycloneDX), by architecture.
    """

    name: str
    index: ImageIndex
    bills: Mapping[str, Path]


def read_images(root: Path) -> tuple[ReleasedImage, ...]:
    """Return the images of a release.

    Args:
        root: The source tree with what Bazel built in it, as in the runfiles of a target.

    Raises:
        ImageError: An image is not an index of images, or a bill is missing.
    """
    return tuple(_image(name, root / folder) for name, folder in _FOLDERS.items())


def write_files(
    root: Path, images: tuple[ReleasedImage, ...], registry: str, version: str, output: Path
) -> None:
    """Write the files of a release: manifests, chart, bills of materials, and the SHA-256 of each.

    Args:
        root: As in `read_images`.
        images: The images.
        registry: Registry and path that clusters pull the images from.
        version: Version of the release.
        output: The folder to make.

    Raises:
        ManifestError: A base is malformed.
        OSError: The folder exists, or cannot be written.
    """
    output.mkdir(parents=True)
    references = {
        image.name: Image(image.name, image.index.root.digest).in_registry(registry) for image in images
    }
    for file_name, folder, name in (
        ("daemon.yaml", "daemon/kubernetes/base", DAEMON),
        ("model.yaml", "runtime/kubernetes/model", RUNTIME),
    ):
        base = replace(read_base(root / folder), images=(references[name],))
        (output / file_name).write_text(to_yaml(render(base)))
    manifests = root / "daemon/kubernetes"
    (output / f"monobase-{version}-kustomize.tar.gz").write_bytes(
        _kustomization(manifests, references[DAEMON], f"monobase-{version}")
    )
    components = {path.name: path for path in sorted((manifests / "components").iterdir())}
    sources = read_sources(manifests / "base", components)
    chart = make_chart(sources, references[DAEMON], version)
    (output / chart.file_name).write_bytes(to_archive(chart))
    for image in images:
        for architecture, bill in image.bills.items():
            shutil.copyfile(bill, output / f"{image.name}.{architecture}.cdx.json")
    lines = [f"{_sha256(path)}  {path.name}\n" for path in sorted(output.iterdir())]
    (output / SUMS).write_text("".join(lines))


def _kustomization(manifests: Path, image: Image, name: str) -> bytes:
    """Return base, components and examples as a `.tar.gz`, for overlays of users without Bazel."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for folder in ("base", "components", "examples"):
            for path in sorted(path for path in (manifests / folder).rglob("*") if path.is_file()):
                content = path.read_bytes()
                if path == manifests / "base" / FILE_NAME:
                    content = pinned(content.decode(), [image]).encode()
                member = tarfile.TarInfo(f"{name}/{path.relative_to(manifests)}")
                member.size, member.mode = len(content), 0o644
                tar.addfile(member, io.BytesIO(content))
    return bytes(deflate.gzip_compress(stream.getvalue(), _LEVEL))


def _image(name: str, folder: Path) -> ReleasedImage:
    content = read_content(folder / "image")
    if not isinstance(content, ImageIndex):
        raise ImageError(f"{folder / 'image'}: a released image is an index of images for all architectures")
    bills = {architecture: folder / f"sbom_{architecture}.cdx.json" for architecture in ARCHITECTURES}
    for bill in bills.values():
        if not bill.is_file():
            raise ImageError(f"{bill}: is missing; build {folder.name}:sbom")
    return ReleasedImage(name, content, bills)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
