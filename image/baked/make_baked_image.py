"""Makes an image with an environment in it: a Bazel action."""

import json
import shutil
from pathlib import Path

import click
import msgspec

from gens.command import MonobaseCommand
from image.baked.baked_settings import baked_settings
from image.model.baked_environment import parse_baked
from image.model.derived_image import DerivedSettings, base_for, write_derived
from image.oci.layer import parse_layer

_PATH = click.Path(path_type=Path)


@click.command(cls=MonobaseCommand)
@click.option("--title", required=True, help="Name of the image.")
@click.option("--base", "base_path", type=_PATH, required=True, help="OCI layout of the image below.")
@click.option("--environment", type=_PATH, required=True, help="Description of the environment.")
@click.option("--settings", "settings_path", type=_PATH, required=True, help="DerivedSettings as JSON.")
@click.option("--layers", type=_PATH, required=True, help="Folder of the layers.")
@click.option("--output", type=_PATH, required=True, help="Folder of the layout.")
def main(
    title: str, base_path: Path, environment: Path, settings_path: Path, layers: Path, output: Path
) -> None:
    """Make an image."""
    baked = parse_baked(environment.read_bytes(), environment)
    base = base_for(base_path, baked.architecture)
    facts = sorted(layers.glob("*.json"))
    pairs = [(parse_layer(path.read_text(), path), path.with_name(f"{path.stem}.tar.gz")) for path in facts]
    given = msgspec.convert(json.loads(settings_path.read_text()), DerivedSettings)
    if output.exists():
        shutil.rmtree(output)
    write_derived(output, base, pairs, baked_settings(baked, base, given, title))


if __name__ == "__main__":
    main()
