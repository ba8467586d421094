"""A folder with images for several architectures, in one index (OCI image-spec v1.1, image-index.md).

Its index.json names the index, as BuildKit writes it, and the index names the images. A registry gets the
same index, by which container engines choose the image of their own architecture.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from image.errors import ImageError
from image.oci.descriptor import INDEX, Descriptor, parse_descriptor
from image.oci.layout import (
    Layout,
    blob_path,
    read_image,
    read_json,
    read_root,
    take_blob,
    to_json_bytes,
    write_blob,
    write_root,
)


@dataclass(frozen=True, slots=True)
class ImageIndex:
    """A folder with an image for each of several architectures.

    Attributes:
        directory: The folder.
        root: Descriptor of the index; its digest is the digest of all images together.
        images: The images, whose descriptors name their architectures.
    """

    directory: Path
    root: Descriptor
    images: tuple[Layout, ...]

    @property
    def manifests(self) -> tuple[Descriptor, ...]:
        """Descriptors of all manifests, the root last."""
        return (*(image.manifest for image in self.images), self.root)

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Descriptors of the blobs of all images, each once."""
        return tuple({blob.digest: blob for image in self.images for blob in image.blobs}.values())

    def path(self, blob: Descriptor) -> Path:
        """Return the path of a blob."""
        return blob_path(self.directory, blob)

    def image(self, architecture: str) -> Layout:
        """Return the image of an architecture.

        Args:
            architecture: Its name (GOARCH).

        Returns:
            The image.

        Raises:
            ImageError: There is none.
        """
        for image in self.images:
            if image.manifest.architecture == architecture:
                return image
        names = ", ".join(image.manifest.architecture for image in self.images)
        raise ImageError(f"{self.directory}: has no image for {architecture}; it has images for {names}")


Content: TypeAlias = Layout | ImageIndex


def write_index(directory: Path, images: Sequence[Layout]) -> ImageIndex:
    """Write images into a new folder, with an index of them.

    Args:
        directory: The folder to make.
        images: The images, each of another architecture.

    Returns:
        The index.

    Raises:
        ImageError: Two images have the same architecture, or an image names none.
    """
    named = [replace(image, manifest=_with_architecture(image)) for image in images]
    architectures = [image.manifest.architecture for image in named]
    if len(set(architectures)) < len(architectures):
        raise ImageError(
            f"{directory}: two of the images are for one architecture: {', '.join(architectures)}"
        )
    for image in named:
        for blob in (image.manifest, *image.blobs):
            take_blob(directory, blob, image.path(blob))
    annotations = [read_json(image.path(image.manifest)).get("annotations", {}).items() for image in named]
    # What is true of all images is true of the index: title, licence, version.
    common = [pair for pair in annotations[0] if all(pair in others for others in annotations)]
    content = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [image.manifest.to_json() for image in named],
        "annotations": dict(common),
    }
    root = write_root(directory, write_blob(directory, INDEX, to_json_bytes(content)))
    return ImageIndex(directory, root, tuple(replace(image, directory=directory) for image in named))


def read_content(directory: Path) -> Content:
    """Read a folder that holds one image, or an index of images.

    Args:
        directory: The folder.

    Returns:
        The image or the index; the blobs themselves are not read.

    Raises:
        ImageError: The folder is not a layout, holds something else, or lacks a blob.
    """
    root = read_root(directory)
    if root.media_type != INDEX:
        return read_image(directory, root)
    path = blob_path(directory, root)
    manifests = read_json(path).get("manifests")
    if not isinstance(manifests, list) or not manifests:
        raise ImageError(f"{path}: expected a list of images, found {manifests!r}")
    images = [read_image(directory, parse_descriptor(manifest, path)) for manifest in manifests]
    return ImageIndex(directory, root, tuple(images))


def _with_architecture(image: Layout) -> Descriptor:
    path = image.path(image.config)
    architecture = read_json(path).get("architecture")
    if not isinstance(architecture, str) or not architecture:
        raise ImageError(f"{path}: names no architecture")
    # The name in the folder of one image means nothing in an index.
    return replace(image.manifest, annotations={}, architecture=architecture)
