"""Content descriptors: type, digest and size of a blob (OCI image-spec v1.1, descriptor.md)."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from image.errors import ImageError

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
# The only algorithm in use here. The digits become a path, so they are checked.
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A content descriptor.

    Attributes:
        media_type: Type of the blob, such as `application/vnd.oci.image.manifest.v1+json`.
        digest: `sha256:` and 64 hexadecimal digits.
        size_bytes: Size of the blob.
        annotations: Facts for people and tools, by name.
        architecture: Of an image in an index: architecture of its programs (GOARCH), for Linux.
    """

    media_type: str
    digest: str
    size_bytes: int
    annotations: Mapping[str, str] = field(default_factory=dict)
    architecture: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object of the specification."""
        required = {"mediaType": self.media_type, "digest": self.digest, "size": self.size_bytes}
        platform = {"architecture": self.architecture, "os": "linux"}
        return (
            required
            | ({"annotations": dict(self.annotations)} if self.annotations else {})
            | ({"platform": platform} if self.architecture else {})
        )


def descriptor_of(media_type: str, content: bytes) -> Descriptor:
    """Return the descriptor of a blob in memory."""
    return Descriptor(media_type, f"sha256:{hashlib.sha256(content).hexdigest()}", len(content))


def parse_descriptor(found: object, path: Path) -> Descriptor:
    """Parse the JSON object of the specification.

    Args:
        found: A value of the JSON file.
        path: The file, for messages.

    Returns:
        The descriptor.

    Raises:
        ImageError: The value is not a descriptor.
    """
    match found:
        case {"mediaType": str(media_type), "digest": str(digest), "size": int(size), **rest} if (
            _DIGEST.fullmatch(digest) is not None
        ):
            annotations, platform = rest.get("annotations"), rest.get("platform")
            return Descriptor(
                media_type,
                digest,
                size,
                annotations if isinstance(annotations, dict) else {},
                str(platform.get("architecture", "")) if isinstance(platform, dict) else "",
            )
    raise ImageError(f"{path}: {found!r} is not a descriptor: it needs mediaType, digest (sha256) and size")
