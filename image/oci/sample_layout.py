"""Small images for tests: layouts with random layers that no two tests share unless they say so."""

import hashlib
import io
import json
import random
import tarfile
from collections.abc import Sequence
from pathlib import Path

import zstandard

from image.oci.descriptor import LAYER_ZSTD, Descriptor
from image.oci.layout import Layout, write_layout


def write_sample_layout(directory: Path, layer_sizes: Sequence[int], seed: int = 0) -> Layout:
    """Write an image whose layers hold a file each, of bytes that do not compress.

    Args:
        directory: The layout's folder, which is made; a folder beside it takes the layers.
        layer_sizes: Bytes of each file.
        seed: Another number makes other bytes.

    Returns:
        The layout.
    """
    blobs = directory.with_name(f"{directory.name}.layers")
    blobs.mkdir(parents=True)
    layers: list[tuple[Descriptor, Path]] = []
    diff_ids: list[str] = []
    for number, size_bytes in enumerate(layer_sizes):
        content = random.Random(f"{seed} {number} {size_bytes}").randbytes(size_bytes)  # noqa: S311 (no secret)
        tar = _tar(f"file{number}", content)
        compressed = zstandard.compress(tar, 1)
        path = blobs / str(number)
        path.write_bytes(compressed)
        digest = f"sha256:{hashlib.sha256(compressed).hexdigest()}"
        layers.append((Descriptor(LAYER_ZSTD, digest, len(compressed)), path))
        diff_ids.append(f"sha256:{hashlib.sha256(tar).hexdigest()}")
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["/file0"], "Env": ["PATH=/bin"], "Labels": {"seed": str(seed)}},
        "rootfs": {"type": "layers", "diff_ids": diff_ids},
        "history": [{"created_by": f"layer {number}"} for number in range(len(layers))],
    }
    return write_layout(
        directory, json.dumps(config).encode(), layers, {"org.opencontainers.image.title": "sample"}
    )


def _tar(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
