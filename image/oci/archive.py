"""Writes an image as a tar that container engines load: an OCI layout that old Docker versions read too.

Specification: OCI image-spec v1.1, image-layout.md; and "Combined Image JSON + Filesystem Changeset Format"
of the Docker image specification v1.2: its `manifest.json` names files of the layout. BuildKit does the same.
"""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from image.errors import ImageError
from image.oci.descriptor import INDEX, Descriptor
from image.oci.layout import Layout, to_json_bytes

_BLOCK_BYTES = 1 << 20
_NAME = "io.containerd.image.name"  # the full name, for containerd and podman
_REFERENCE = "org.opencontainers.image.ref.name"  # the tag (annotations.md)


def write_archive(layout: Layout, name: str, stream: IO[bytes], advance: Callable[[int], None]) -> None:
    """Write an image to a stream, without a whole layer in memory.

    The bytes are the same for the same image and name.

    Args:
        layout: The image.
        name: Its name in the engine, with host and tag: `localhost/monobase/daemon:latest`.
        stream: Stream that the tar is written to.
        advance: Called with the number of blob bytes that were written.

    Raises:
        ImageError: A blob cannot be read, or its size is not that of its descriptor.
        OSError: The stream cannot be written.
    """
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT, bufsize=_BLOCK_BYTES) as tar:
        # Like BuildKit, write the folders as well.
        for folder in ("blobs", "blobs/sha256"):
            tar.addfile(_folder(folder))
        _add(tar, "oci-layout", to_json_bytes({"imageLayoutVersion": "1.0.0"}))
        _add(tar, "index.json", to_json_bytes(_index(layout.manifest, name)))
        _add(tar, "manifest.json", _docker_manifest(layout, name))
        for blob in {blob.digest: blob for blob in (layout.manifest, layout.config, *layout.layers)}.values():
            _add_blob(tar, blob, layout.path(blob), advance)


def _index(manifest: Descriptor, name: str) -> dict[str, Any]:
    named = Descriptor(
        manifest.media_type,
        manifest.digest,
        manifest.size_bytes,
        {**manifest.annotations, _NAME: name, _REFERENCE: name.rpartition(":")[2]},
    )
    return {"schemaVersion": 2, "mediaType": INDEX, "manifests": [named.to_json()]}


def _docker_manifest(layout: Layout, name: str) -> bytes:
    entry = {
        "Config": _member(layout.config),
        "RepoTags": [name],
        "Layers": [_member(layer) for layer in layout.layers],
    }
    # manifest.json is a list, which to_json_bytes does not write.
    return b"[" + to_json_bytes(entry) + b"]"


def _member(blob: Descriptor) -> str:
    return f"blobs/{blob.digest.replace(':', '/')}"


def _add(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    tar.addfile(_header(name, len(content)), io.BytesIO(content))


def _add_blob(tar: tarfile.TarFile, blob: Descriptor, path: Path, advance: Callable[[int], None]) -> None:
    try:
        file = path.open("rb")
    except OSError as error:
        raise ImageError(f"{path}: cannot be read: {error.strerror}") from error
    with file:
        if path.stat().st_size != blob.size_bytes:
            raise ImageError(f"{path}: does not have the {blob.size_bytes} bytes of its descriptor")
        tar.addfile(_header(_member(blob), blob.size_bytes), _Counted(file, advance))  # type: ignore[arg-type]


class _Counted:
    """Reports how far a file has been read."""

    def __init__(self, file: IO[bytes], advance: Callable[[int], None]) -> None:
        self._file = file
        self._advance = advance

    def read(self, size: int) -> bytes:
        block = self._file.read(size)
        self._advance(len(block))
        return block


def _folder(name: str) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.type = tarfile.DIRTYPE
    header.mode = 0o755
    return header


def _header(name: str, size_bytes: int) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.size = size_bytes
    header.mode = 0o644
    return header
