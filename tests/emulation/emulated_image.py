"""Unpacks images, each layer once."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from image.oci.descriptor import Descriptor
from image.oci.layout import Layout

_NAME_DIGITS = 12


@dataclass(frozen=True, slots=True)
class EmulatedImage:
    """An unpacked image and its configuration (OCI image-spec v1.1, config.md).

    Attributes:
        store: The folder of the layers.
        layers: Names of its layers in the store, the lowest first.
        architecture: `arm64`.
        entrypoint: What it runs.
        command: The arguments of that, when none are given.
        variables: Its environment variables.
        user: UID:GID.
        working_directory: Where it runs.
    """

    store: Path
    layers: tuple[str, ...]
    architecture: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    variables: Mapping[str, str]
    user: str
    working_directory: str


def unpack_images(layouts: Sequence[Layout], store: Path) -> list[EmulatedImage]:
    """Unpack images into a folder.

    All files get the owner that unpacks them, who is root in a container: the namespace of a container knows
    no other user. Layers that remove files of lower layers (layer.md, "Whiteouts") are refused: the layers of
    this repository only add files.

    Args:
        layouts: The images.
        store: The folder to make.
    """
    store.mkdir(parents=True)
    (store / "mnt").mkdir()
    blobs = {_name(layer): layout.path(layer) for layout in layouts for layer in layout.layers}
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda name: _unpack(blobs[name], store / name), blobs))
    return [_image(layout, store) for layout in layouts]


def _image(layout: Layout, store: Path) -> EmulatedImage:
    configuration = json.loads(layout.path(layout.config).read_bytes())
    facts = configuration["config"]
    return EmulatedImage(
        store,
        tuple(_name(layer) for layer in layout.layers),
        configuration["architecture"],
        tuple(facts.get("Entrypoint", ())),
        tuple(facts.get("Cmd", ())),
        dict(text.split("=", 1) for text in facts.get("Env", ())),
        facts.get("User") or "0:0",
        facts.get("WorkingDir") or "/",
    )


def _name(layer: Descriptor) -> str:
    return layer.digest.removeprefix("sha256:")[:_NAME_DIGITS]


def _unpack(blob: Path, folder: Path) -> None:
    folder.mkdir()
    command = ("tar", "--extract", "--gzip", "--verbose", "--no-same-owner", "--file", blob)
    done = subprocess.run([*command, "--directory", folder], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{blob}: cannot be unpacked: {done.stderr}")
    if removing := [name for name in done.stdout.splitlines() if name.rpartition("/")[2].startswith(".wh.")]:
        raise AssertionError(f"{blob}: removes files of lower layers: {removing}")
