"""Measures images, layer by layer, compressed as in a registry."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from image.oci.descriptor import Descriptor
from image.oci.layout import Layout


@dataclass(frozen=True, slots=True)
class SizedLayer:
    """A layer.

    Attributes:
        holds: What it holds, of the image's history.
        blob: Its descriptor.
    """

    holds: str
    blob: Descriptor


@dataclass(frozen=True, slots=True)
class SizedImage:
    """An image.

    Attributes:
        name: What the report calls it.
        layers: Its layers, the lowest first.
        metadata: Its configuration and its manifest.
    """

    name: str
    layers: tuple[SizedLayer, ...]
    metadata: tuple[Descriptor, ...]

    @property
    def size_bytes(self) -> int:
        """Size in a registry, in bytes."""
        return pulled_bytes([self])

    def without(self, digests: Iterable[str]) -> "SizedImage":
        """Leave out the layers of some digests."""
        left_out = set(digests)
        layers = tuple(layer for layer in self.layers if layer.blob.digest not in left_out)
        return SizedImage(self.name, layers, self.metadata)


def size_image(name: str, layout: Layout) -> SizedImage:
    """Measure an image.

    Args:
        name: What the report calls it.
        layout: The image.

    Returns:
        Its layers with what they hold.
    """
    history = json.loads(layout.path(layout.config).read_bytes())["history"]
    holds = [step["created_by"] for step in history if not step.get("empty_layer")]
    layers = tuple(SizedLayer(text, blob) for text, blob in zip(holds, layout.layers, strict=True))
    return SizedImage(name, layers, (layout.config, layout.manifest))


def pulled_bytes(images: Iterable[SizedImage]) -> int:
    """Count what a node pulls for some images together: each blob once.

    Args:
        images: The images.

    Returns:
        Bytes of their distinct layers, configurations and manifests.
    """
    blobs = {
        blob.digest: blob.size_bytes
        for image in images
        for blob in (*(layer.blob for layer in image.layers), *image.metadata)
    }
    return sum(blobs.values())
