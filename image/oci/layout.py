"""A folder that holds one image (OCI image-spec v1.1, image-layout.md)."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from image.errors import ImageError
from image.oci.descriptor import CONFIG, INDEX, MANIFEST, Descriptor, descriptor_of, parse_descriptor

REFERENCE_NAME = "org.opencontainers.image.ref.name"


@dataclass(frozen=True, slots=True)
class Layout:
    """A folder with one image.

    Attributes:
        directory: The folder.
        manifest: Descriptor of the image's manifest; its digest is the image's.
        config: Descriptor of its configuration.
        layers: Descriptors of its layers, the lowest first.
    """

    directory: Path
    manifest: Descriptor
    config: Descriptor
    layers: tuple[Descriptor, ...]

    @property
    def root(self) -> Descriptor:
        """Descriptor of what a tag names: the manifest."""
        return self.manifest

    @property
    def manifests(self) -> tuple[Descriptor, ...]:
        """Descriptors of all manifests, the root last."""
        return (self.manifest,)

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Descriptors of the manifest: the layers, then the configuration."""
        return (*self.layers, self.config)

    def path(self, blob: Descriptor) -> Path:
        """Return the path of a blob."""
        return blob_path(self.directory, blob)


def write_layout(
    directory: Path,
    config: bytes,
    layers: Sequence[tuple[Descriptor, Path]],
    annotations: Mapping[str, str],
    config_type: str = CONFIG,
) -> Layout:
    """Write an image, or an artifact in the form of one, to a new folder.

    Args:
        directory: The folder to make.
        config: The image's configuration (config.md).
        layers: The layers with their files, the lowest first.
        annotations: Annotations of the manifest (annotations.md).
        config_type: Media type of the configuration, which says what an artifact is (manifest.md, "Guidelines
            for Artifact Usage").

    Returns:
        The layout.
    """
    config_descriptor = write_blob(directory, config_type, config)
    for descriptor, path in layers:
        take_blob(directory, descriptor, path)
    manifest = write_blob(
        directory,
        MANIFEST,
        to_json_bytes(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": config_descriptor.to_json(),
                "layers": [descriptor.to_json() for descriptor, _ in layers],
                "annotations": dict(annotations),
            }
        ),
    )
    return Layout(
        directory,
        write_root(directory, manifest),
        config_descriptor,
        tuple(descriptor for descriptor, _ in layers),
    )


def read_layout(directory: Path) -> Layout:
    """Read a folder that holds one image.

    Args:
        directory: The folder.

    Returns:
        The layout; the blobs themselves are not read.

    Raises:
        ImageError: The folder is not a layout, does not hold exactly one image, or lacks a blob.
    """
    root = read_root(directory)
    if root.media_type == INDEX:
        raise ImageError(
            f"{directory}: holds an index of images for several architectures; name the layout of one of them"
        )
    return read_image(directory, root)


def read_root(directory: Path) -> Descriptor:
    """Read what the index.json of a folder names.

    Args:
        directory: The folder.

    Returns:
        Its one descriptor: of an image, or of an index of images.

    Raises:
        ImageError: The folder is not a layout, or names something else than one image or index.
    """
    index_path = directory / "index.json"
    manifests = read_json(index_path).get("manifests")
    if not isinstance(manifests, list) or len(manifests) != 1:
        raise ImageError(f"{index_path}: expected exactly one manifest, found {manifests!r}")
    return parse_descriptor(manifests[0], index_path)


def read_image(directory: Path, manifest: Descriptor) -> Layout:
    """Read an image of a folder.

    Args:
        directory: The folder.
        manifest: Descriptor of the image's manifest.

    Returns:
        The layout; the blobs themselves are not read.

    Raises:
        ImageError: The manifest is malformed, or a blob is missing.
    """
    manifest_path = blob_path(directory, manifest)
    content = read_json(manifest_path)
    layers = content.get("layers")
    if not isinstance(layers, list):
        raise ImageError(f"{manifest_path}: expected a list of layers, found {layers!r}")
    layout = Layout(
        directory,
        manifest,
        parse_descriptor(content.get("config"), manifest_path),
        tuple(parse_descriptor(layer, manifest_path) for layer in layers),
    )
    for blob in layout.blobs:
        path = layout.path(blob)
        if not path.is_file() or path.stat().st_size != blob.size_bytes:
            raise ImageError(
                f"{path}: is missing, or does not have the {blob.size_bytes} bytes in {manifest_path}"
            )
    return layout


def blob_path(directory: Path, blob: Descriptor) -> Path:
    """Return the path of a blob of a layout."""
    return directory / "blobs" / blob.digest.replace(":", "/")


def to_json_bytes(value: Mapping[str, Any]) -> bytes:
    """Return JSON, always the same bytes for the same value."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def write_root(directory: Path, root: Descriptor) -> Descriptor:
    """Write the index.json of a folder, and the file that makes it a layout.

    Args:
        directory: The folder.
        root: Descriptor of the image or of the index of images that the folder is for.

    Returns:
        The descriptor with its name in the folder.
    """
    # Tools such as umoci find an image only by a name; the digest does not depend on it.
    named = replace(root, annotations={REFERENCE_NAME: "latest"})
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [named.to_json()]}
    (directory / "index.json").write_bytes(to_json_bytes(index))
    (directory / "oci-layout").write_bytes(to_json_bytes({"imageLayoutVersion": "1.0.0"}))
    return named


def write_blob(directory: Path, media_type: str, content: bytes) -> Descriptor:
    """Write a blob into a layout, and return its descriptor."""
    descriptor = descriptor_of(media_type, content)
    path = blob_path(directory, descriptor)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return descriptor


def take_blob(directory: Path, blob: Descriptor, source: Path) -> None:
    """Link or copy a file into a layout as a blob."""
    target = blob_path(directory, blob)
    if target.exists():
        return  # two layers may be one blob
    target.parent.mkdir(parents=True, exist_ok=True)
    # Bazel's inputs are symbolic links; a hard link to the file itself needs no copy.
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object of a layout.

    Raises:
        ImageError: The file cannot be read, or is not a JSON object.
    """
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ImageError(f"{path}: is not readable as a part of an OCI layout: {error}") from error
    if not isinstance(content, dict):
        raise ImageError(f"{path}: is not a JSON object")
    return content
