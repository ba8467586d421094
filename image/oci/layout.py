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
    def blobs(self) -> tuple[Descriptor, ...]:
        """Descriptors of the manifest: the layers, then the configuration."""
        return (*self.layers, self.config)

    def path(self, blob: Descriptor) -> Path:
        """Return the path of a blob."""
        return self.directory / "blobs" / blob.digest.replace(":", "/")


def write_layout(
    directory: Path,
    config: bytes,
    layers: Sequence[tuple[Descriptor, Path]],
    annotations: Mapping[str, str],
) -> Layout:
    """Write an image to a new folder.

    Args:
        directory: The folder to make.
        config: The image's configuration (config.md).
        layers: The layers with their files, the lowest first.
        annotations: Annotations of the manifest (annotations.md).

    Returns:
        The layout.
    """
    blobs = directory / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    config_descriptor = _write_blob(blobs, CONFIG, config)
    for descriptor, path in layers:
        _take(path, blobs / descriptor.digest.removeprefix("sha256:"))
    manifest = _write_blob(
        blobs,
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
    # Tools such as umoci find an image only by a name; the digest does not depend on it.
    named = replace(manifest, annotations={REFERENCE_NAME: "latest"})
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [named.to_json()]}
    (directory / "index.json").write_bytes(to_json_bytes(index))
    (directory / "oci-layout").write_bytes(to_json_bytes({"imageLayoutVersion": "1.0.0"}))
    return Layout(directory, named, config_descriptor, tuple(descriptor for descriptor, _ in layers))


def read_layout(directory: Path) -> Layout:
    """Read a folder that holds one image.

    Args:
        directory: The folder.

    Returns:
        The layout; the blobs themselves are not read.

    Raises:
        ImageError: The folder is not a layout, does not hold exactly one image, or lacks a blob.
    """
    index_path = directory / "index.json"
    index = _read_json(index_path)
    manifests = index.get("manifests")
    if not isinstance(manifests, list) or len(manifests) != 1:
        raise ImageError(f"{index_path}: expected exactly one manifest, found {manifests!r}")
    manifest = parse_descriptor(manifests[0], index_path)
    manifest_path = directory / "blobs" / manifest.digest.replace(":", "/")
    content = _read_json(manifest_path)
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


def to_json_bytes(value: Mapping[str, Any]) -> bytes:
    """Return JSON, always the same bytes for the same value."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def _write_blob(blobs: Path, media_type: str, content: bytes) -> Descriptor:
    descriptor = descriptor_of(media_type, content)
    (blobs / descriptor.digest.removeprefix("sha256:")).write_bytes(content)
    return descriptor


def _take(source: Path, target: Path) -> None:
    if target.exists():
        return  # two layers may be one blob
    # Bazel's inputs are symbolic links; a hard link to the file itself needs no copy.
    try:
        os.link(source.resolve(), target)
    except OSError:
        shutil.copyfile(source, target)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ImageError(f"{path}: is not readable as a part of an OCI layout: {error}") from error
    if not isinstance(content, dict):
        raise ImageError(f"{path}: is not a JSON object")
    return content
