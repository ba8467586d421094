"""Makes an OCI layout of layers and a configuration: a Bazel action."""

import json
import shutil
from pathlib import Path

import click
import msgspec

from gens.command import MonobaseCommand
from gens.version import read_version
from image.debian.lock.lock_file import parse_lock
from image.oci.config import ANNOTATION_PREFIX, ImageConfig, to_json
from image.oci.layer import parse_layer
from image.oci.layout import to_json_bytes, write_layout
from image.version_labels import version_labels

_PATH = click.Path(path_type=Path)


@click.command(cls=MonobaseCommand)
@click.option(
    "--config",
    "config_path",
    type=_PATH,
    required=True,
    help="ImageConfig as JSON, without what the lock says.",
)
@click.option(
    "--lock",
    "lock_path",
    type=_PATH,
    required=True,
    help="Lock of the Debian packages, for the date and the architecture.",
)
@click.option("--layer", "layers", type=(_PATH, _PATH), multiple=True, help="BLOB FACTS, the lowest first.")
@click.option(
    "--version-file", type=_PATH, help="Version file (gens.version), for the labels of version and revision."
)
@click.option("--output", type=_PATH, required=True, help="Folder of the layout.")
def main(
    config_path: Path,
    lock_path: Path,
    layers: tuple[tuple[Path, Path], ...],
    version_file: Path | None,
    output: Path,
) -> None:
    """Make an image."""
    lock = parse_lock(lock_path.read_text(), lock_path)
    fields = json.loads(config_path.read_text())
    version = {} if version_file is None else version_labels(read_version(version_file))
    fields["labels"] = {f"{ANNOTATION_PREFIX}.created": lock.date} | version | fields["labels"]
    config = msgspec.convert(fields | {"architecture": lock.architecture, "created": lock.date}, ImageConfig)
    parsed = [(parse_layer(facts.read_text(), facts), blob) for blob, facts in layers]
    if output.exists():
        shutil.rmtree(output)
    write_layout(
        output,
        to_json_bytes(to_json(config, [layer for layer, _ in parsed])),
        [(layer.blob, blob) for layer, blob in parsed],
        config.labels,
    )


if __name__ == "__main__":
    main()
