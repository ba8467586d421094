"""Writes layers of several gigabytes: the archive is never on the disk, and all cores compress it.

Each block of the archive is a gzip member of its own (RFC 1952, section 2.2).
"""

import hashlib
import os
import tarfile
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, Self, cast

import deflate

from image.oci.descriptor import LAYER_GZIP, Descriptor
from image.oci.layer import Layer

_LEVEL = 6
_BLOCK_BYTES = 16 << 20


def write_large_layer(path: Path, folder: Path, place: str, created_by: str) -> Layer:
    """Write a layer of a folder.

    Args:
        path: The blob to write.
        folder: The folder.
        place: Where the layer has it, without a slash at the beginning.
        created_by: What it holds, for the history.

    Returns:
        The layer.
    """
    with path.open("wb") as blob, _Compressor(blob) as compressor:
        with tarfile.open(
            fileobj=cast("IO[bytes]", compressor), mode="w|", format=tarfile.PAX_FORMAT
        ) as archive:
            archive.add(folder, place)
        return compressor.finish(created_by)


class _Compressor:
    """A file to write to, which compresses what is written, and knows both digests."""

    def __init__(self, blob: IO[bytes]) -> None:
        self._blob = blob
        self._buffer = bytearray()
        self._blob_digest = hashlib.sha256()
        self._tar_digest = hashlib.sha256()
        self._tar_bytes = self._blob_bytes = 0
        self._workers = ThreadPoolExecutor(os.cpu_count())
        self._pending: deque[Future[bytes]] = deque()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._workers.shutdown(cancel_futures=True)

    def write(self, content: bytes) -> int:
        """Take a part of the archive."""
        self._buffer += content
        if len(self._buffer) >= _BLOCK_BYTES:
            self._submit()
        return len(content)

    def finish(self, created_by: str) -> Layer:
        """Write what is left, and return the layer."""
        self._submit()
        while self._pending:
            self._take()
        digest = f"sha256:{self._blob_digest.hexdigest()}"
        descriptor = Descriptor(LAYER_GZIP, digest, self._blob_bytes)
        return Layer(descriptor, f"sha256:{self._tar_digest.hexdigest()}", created_by, self._tar_bytes)

    def _submit(self) -> None:
        block, self._buffer = bytes(self._buffer), bytearray()
        self._tar_digest.update(block)
        self._tar_bytes += len(block)
        self._pending.append(self._workers.submit(_compressed, block))
        # No more blocks in memory than the cores work on.
        while len(self._pending) > (os.cpu_count() or 1):
            self._take()

    def _take(self) -> None:
        member = self._pending.popleft().result()
        self._blob.write(member)
        self._blob_digest.update(member)
        self._blob_bytes += len(member)


def _compressed(block: bytes) -> bytes:
    return bytes(deflate.gzip_compress(block, _LEVEL))
