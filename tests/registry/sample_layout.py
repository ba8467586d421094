"""Small images for tests: layouts with random layers, which tests share only if they ask for it."""

import gzip
import hashlib
import io
import json
import random
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal

import zstandard

from image.oci.descriptor import LAYER_GZIP, Descriptor
from image.oci.image_index import ImageIndex, write_index
from image.oci.layout import Layout, write_layout


def write_sample_layout(
    directory: Path,
    layer_sizes: Sequence[int],
    *,
    seed: int = 0,
    compression: Literal["zstd", "gzip"] = "zstd",
    architecture: str = "amd64",
) -> Layout:
    """Write an image whose layers hold a file each, of bytes that do not compress.

    Args:
        directory: The layout's folder, which is made.
        layer_sizes: Bytes of each file.
        seed: Another number makes other bytes.
        compression: Of the layers.
        architecture: Of the image.

    Returns:
        The layout.
    """
    media_type = LAYER_GZIP.replace("gzip", compression)
    layers: list[tuple[Descriptor, Path]] = []
    diff_ids: list[str] = []
    directory.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory.parent) as files:
        for number, size_bytes in enumerate(layer_sizes):
            content = random.Random(f"{seed} {number} {size_bytes}").randbytes(size_bytes)  # noqa: S311
            tar = _tar(f"file{number}", content)
            compressed = (
                zstandard.compress(tar, 1) if compression == "zstd" else gzip.compress(tar, 1, mtime=0)
            )
            path = Path(files, str(number))
            path.write_bytes(compressed)
            digest = f"sha256:{hashlib.sha256(compressed).hexdigest()}"
            layers.append((Descriptor(media_type, digest, len(compressed)), path))
            diff_ids.append(f"sha256:{hashlib.sha256(tar).hexdigest()}")
        config = _config(diff_ids, seed, architecture)
        return write_layout(directory, config, layers, {"org.opencontainers.image.title": "sample"})


def write_sample_index(directory: Path, seeds: Mapping[str, int], shared_bytes: int = 1000) -> ImageIndex:
    """Write an index of images with a layer that all share, and one of each image's own.

    Args:
        directory: The layout's folder, which is made.
        seeds: What the own layer is made of, by architecture.
        shared_bytes: Bytes of the shared layer.

    Returns:
        The index.
    """
    with tempfile.TemporaryDirectory(dir=directory.parent) as scratch:
        images = [
            write_sample_layout(
                Path(scratch, name), [shared_bytes, 500 + seed], compression="gzip", architecture=name
            )
            for name, seed in seeds.items()
        ]
        return write_index(directory, images)


def _config(diff_ids: Sequence[str], seed: int, architecture: str) -> bytes:
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Cmd": ["/file0"], "Env": ["PATH=/bin"], "Labels": {"seed": str(seed)}},
        "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
        "history": [{"created_by": f"layer {number}"} for number in range(len(diff_ids))],
    }
    return json.dumps(config).encode()


def _tar(name: str, content: bytes) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
