"""Layers: tar archives, compressed with zstd, named by two digests.

OCI image-spec v1.1, layer.md, and config.md for the digest of the archive itself (DiffID).
"""

import hashlib
import io
import json
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

import zstandard

from image.errors import ImageError
from image.oci.descriptor import LAYER_ZSTD, Descriptor

# zstd gives the same bytes for any number of threads but none.
_THREADS = 2
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer that was written.

    Attributes:
        blob: Descriptor of the compressed archive.
        diff_id: Digest of the archive itself, which the configuration names.
        created_by: What it holds, for the history.
        tar_bytes: Size of the archive itself.
    """

    blob: Descriptor
    diff_id: str
    created_by: str
    tar_bytes: int


class _Blob:
    """A file that compresses what is written, and knows both digests in the end."""

    def __init__(self, stream: IO[bytes], level: int) -> None:
        self._stream = stream
        self._raw = hashlib.sha256()
        self._packed = hashlib.sha256()
        self._tar_bytes = 0
        self._size_bytes = 0
        parameters = zstandard.ZstdCompressionParameters.from_level(
            level, threads=_THREADS, write_checksum=True
        )
        self._compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()

    def write(self, content: bytes) -> int:
        self._raw.update(content)
        self._tar_bytes += len(content)
        self._keep(self._compressor.compress(content))
        return len(content)

    def end(self, created_by: str) -> Layer:
        self._keep(self._compressor.flush())
        blob = Descriptor(LAYER_ZSTD, f"sha256:{self._packed.hexdigest()}", self._size_bytes)
        return Layer(blob, f"sha256:{self._raw.hexdigest()}", created_by, self._tar_bytes)

    def _keep(self, packed: bytes) -> None:
        self._packed.update(packed)
        self._size_bytes += len(packed)
        self._stream.write(packed)


def write_layer(
    path: Path,
    members: Iterable[tuple[tarfile.TarInfo, Path | bytes | None]],
    created_by: str,
    level: int,
) -> Layer:
    """Write a layer of some files.

    Args:
        path: The blob to write.
        members: What goes into it, each folder before what it holds, with the content of regular files.
        created_by: What it holds, for the history.
        level: How hard zstd tries.

    Returns:
        The layer.
    """
    with path.open("wb") as stream:
        blob = _Blob(stream, level)
        with tarfile.open(fileobj=cast("IO[bytes]", blob), mode="w|", format=tarfile.PAX_FORMAT) as archive:
            for member, content in members:
                if isinstance(content, Path):
                    with content.open("rb") as source:
                        archive.addfile(member, source)
                elif content is not None:
                    archive.addfile(member, io.BytesIO(content))
                else:
                    archive.addfile(member)
        return blob.end(created_by)


def compress_layer(source: Path, path: Path, created_by: str, level: int) -> Layer:
    """Write a layer of a tar archive that is there.

    Args:
        source: The archive.
        path: The blob to write.
        created_by: What it holds, for the history.
        level: How hard zstd tries.

    Returns:
        The layer.
    """
    with source.open("rb") as archive, path.open("wb") as stream:
        blob = _Blob(stream, level)
        while chunk := archive.read(_CHUNK_BYTES):
            blob.write(chunk)
        return blob.end(created_by)


def format_layer(layer: Layer) -> str:
    """Write what is known of a layer, for the action that makes an image of it."""
    facts = {"blob": layer.blob.to_json(), "diffId": layer.diff_id, "createdBy": layer.created_by}
    return json.dumps(facts | {"tarSize": layer.tar_bytes}, indent=2) + "\n"


def parse_layer(text: str, path: Path) -> Layer:
    """Read what `format_layer` wrote.

    Raises:
        ImageError: It is malformed.
    """
    match json.loads(text):
        case {
            "blob": {"mediaType": str(media_type), "digest": str(digest), "size": int(size)},
            "diffId": str(diff_id),
            "createdBy": str(created_by),
            "tarSize": int(tar_bytes),
        }:
            return Layer(Descriptor(media_type, digest, size), diff_id, created_by, tar_bytes)
    raise ImageError(f"{path}: is not what an action that makes a layer writes")
