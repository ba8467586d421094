"""Releases of the daemon's image for tests: the real one, with other generations in a small layer on top."""

import json
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from image.oci.layer import Layer, write_layer
from image.oci.layout import Layout, to_json_bytes, write_layout
from tests.synthetic.catalog import Cell, write_catalog

# The variable is how a cluster would name other generations too; the folder is part of the image.
_DIRECTORY = "gens"


def write_release(base: Layout, generations: Mapping[int, Sequence[Cell]], directory: Path) -> Layout:
    """Make a release.

    Args:
        base: The daemon's image.
        generations: The generations that it knows, in place of the real ones.
        directory: For its files; it is made.

    Returns:
        The release.
    """
    directory.mkdir(parents=True)
    catalog = write_catalog(directory / "catalog", generations)
    blob = directory / "layer"
    layer = write_layer(blob, _members(catalog), "generations of a test")
    config = _on_top(json.loads(base.path(base.config).read_bytes()), layer)
    layers = [(descriptor, base.path(descriptor)) for descriptor in base.layers]
    return write_layout(directory / "layout", to_json_bytes(config), [*layers, (layer.blob, blob)], {})


def _on_top(config: dict[str, Any], layer: Layer) -> dict[str, Any]:
    config["rootfs"]["diff_ids"].append(layer.diff_id)
    config["history"].append({"created": config["created"], "created_by": layer.created_by})
    config["config"]["Env"].append(f"MONOBASE_GENS=/{_DIRECTORY}")
    return config


def _members(catalog: Path) -> Iterator[tuple[tarfile.TarInfo, Path | None]]:
    for path in (catalog, *sorted(catalog.rglob("*"))):
        member = tarfile.TarInfo(str(Path(_DIRECTORY) / path.relative_to(catalog)))
        if path.is_dir():
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            yield member, None
        else:
            member.mode, member.size = 0o644, path.stat().st_size
            yield member, path
