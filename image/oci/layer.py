"""Layers: tar archives, compressed with gzip, named by two digests.

OCI image-spec v1.1, layer.md, and config.md for the digest of the archive itself (DiffID).

gzip and not zstd: some tools do not read zstd (`crane validate` does not). libdeflate and not zlib: machines
have different versions of zlib, which write different bytes.
"""

import hashlib
import io
import json
import mmap
import tarfile
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypeAlias

import deflate

from image.errors import ImageError
from image.oci.descriptor import LAYER_GZIP, Descriptor

# Of 633 MB of packages, level 6 makes 229 MB, 8 makes 228 MB in four times the time, 10 makes 222 MB in nine.
_LEVEL = 6


Members: TypeAlias = Iterable[tuple[tarfile.TarInfo, Path | bytes | None]]


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer in a file.

    Attributes:
        blob: Descriptor of the compressed archive.
        diff_id: Digest of the archive itself, which the configuration names.
        created_by: Its content in words, for the history.
        tar_bytes: Size of the archive itself.
    """

    blob: Descriptor
    diff_id: str
    created_by: str
    tar_bytes: int


def write_archive(path: Path, members: Members) -> None:
    """Write a tar archive of some files, for `compress_layer`.

    Args:
        path: The archive to write.
        members: What goes into it, each folder before what it holds, with the content of regular files.
    """
    with path.open("wb") as tar:
        _write_tar(tar, members)


def write_layer(path: Path, members: Members, created_by: str) -> Layer:
    """Write a layer of some files.

    Args:
        path: The blob to write.
        members: What goes into it, each folder before what it holds, with the content of regular files.
        created_by: What it holds, for the history.

    Returns:
        The layer.
    """
    with tempfile.TemporaryFile(dir=path.parent) as tar:
        _write_tar(tar, members)
        # Otherwise the stream's buffer would be missing from the file that is mapped.
        tar.flush()
        return _compress(tar, path, created_by)


def compress_layer(source: Path, path: Path, created_by: str) -> Layer:
    """Write a layer of an existing tar archive.

    Args:
        source: The archive.
        path: The blob to write.
        created_by: What it holds, for the history.

    Returns:
        The layer.
    """
    with source.open("rb") as tar:
        return _compress(tar, path, created_by)


def _write_tar(tar: IO[bytes], members: Members) -> None:
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for member, content in members:
            if isinstance(content, Path):
                with content.open("rb") as source:
                    archive.addfile(member, source)
            elif content is not None:
                archive.addfile(member, io.BytesIO(content))
            else:
                archive.addfile(member)


def _compress(tar: IO[bytes], path: Path, created_by: str) -> Layer:
    # libdeflate compresses all at once: the blob is in memory, the archive is mapped.
    with mmap.mmap(tar.fileno(), 0, access=mmap.ACCESS_READ) as content:
        diff_id = hashlib.sha256(content).hexdigest()
        tar_bytes = len(content)
        blob = deflate.gzip_compress(content, _LEVEL)
    path.write_bytes(blob)
    descriptor = Descriptor(LAYER_GZIP, f"sha256:{hashlib.sha256(blob).hexdigest()}", len(blob))
    return Layer(descriptor, f"sha256:{diff_id}", created_by, tar_bytes)


def format_layer(layer: Layer) -> str:
    """Return the facts of a layer as text, for the action that makes an image of it."""
    facts = {"blob": layer.blob.to_json(), "diffId": layer.diff_id, "createdBy": layer.created_by}
    return json.dumps(facts | {"tarSize": layer.tar_bytes}, indent=2) + "\n"


def parse_layer(text: str, path: Path) -> Layer:
    """Parse the text of `format_layer`.

    Raises:
        ImageError: It is malformed.
    """
    try:
        found = json.loads(text)
    except ValueError as error:
        raise ImageError(f"{path}: is not JSON: {error}") from error
    match found:
        case {
            "blob": {"mediaType": str(media_type), "digest": str(digest), "size": int(size)},
            "diffId": str(diff_id),
            "createdBy": str(created_by),
            "tarSize": int(tar_bytes),
        }:
            return Layer(Descriptor(media_type, digest, size), diff_id, created_by, tar_bytes)
    raise ImageError(f"{path}: is not a file of facts that an action for layers writes")
