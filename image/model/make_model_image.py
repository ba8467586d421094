"""Makes the image of a model: a Bazel action."""

import json
import shutil
from pathlib import Path

import click
import msgspec

from gens.command import MonobaseCommand
from image.model.derived_image import DerivedSettings, base_for, write_derived
from image.model.facts import read_facts
from image.model.model_settings import model_settings, refuse_other_environment
from image.oci.layer import parse_layer

_PATH = click.Path(path_type=Path)


@click.command(cls=MonobaseCommand)
@click.option("--title", required=True, help="Name of the model.")
@click.option("--base", "base_path", type=_PATH, required=True, help="OCI layout of the image below.")
@click.option("--facts", "facts_path", type=_PATH, required=True, help="Facts of the environment.")
@click.option("--settings", "settings_path", type=_PATH, required=True, help="DerivedSettings as JSON.")
@click.option("--packages", type=_PATH, required=True, help="Folder of the layers of packages.")
@click.option("--layer", "files", type=(_PATH, _PATH), multiple=True, help="BLOB FACTS of a layer of files.")
@click.option("--output", type=_PATH, required=True, help="Folder of the layout.")
def main(
    title: str,
    base_path: Path,
    facts_path: Path,
    settings_path: Path,
    packages: Path,
    files: tuple[tuple[Path, Path], ...],
    output: Path,
) -> None:
    """Make an image."""
    facts = read_facts(facts_path)
    base = base_for(base_path, facts.architecture)
    refuse_other_environment(base, facts)
    pairs = [(path.with_name(f"{path.stem}.tar.gz"), path) for path in sorted(packages.glob("*.json"))]
    layers = [(parse_layer(written.read_text(), written), blob) for blob, written in [*pairs, *files]]
    given = msgspec.convert(json.loads(settings_path.read_text()), DerivedSettings)
    if output.exists():
        shutil.rmtree(output)
    write_derived(output, base, layers, model_settings(facts, given, title))


if __name__ == "__main__":
    main()
