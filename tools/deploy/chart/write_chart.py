"""Writes a chart: the actions of defs.bzl."""

from pathlib import Path

import click

from gens.command import MonobaseCommand
from gens.version import read_version
from image.oci.image_index import read_content
from tools.deploy.base import Image
from tools.deploy.chart.chart import make_chart, to_archive, write_artifact
from tools.deploy.chart.sources import read_sources

_PATH = click.Path(path_type=Path)


@click.command(cls=MonobaseCommand)
@click.argument("output", type=_PATH)
@click.argument("artifact", type=_PATH)
@click.option("--base", "base_files", type=_PATH, multiple=True, help="A file of the base.")
@click.option("--component", "component_files", type=_PATH, multiple=True, help="A file of a component.")
@click.option("--image", type=(str, _PATH), required=True, help="Name in manifests, and OCI layout.")
@click.option("--registry", help="Registry that clusters pull from; empty if a value sets the repository.")
@click.option("--version-file", type=_PATH, required=True, help="What gens/version.bzl wrote.")
def main(
    output: Path,
    artifact: Path,
    base_files: tuple[Path, ...],
    component_files: tuple[Path, ...],
    image: tuple[str, Path],
    registry: str,
    version_file: Path,
) -> None:
    """Write the chart of a base and its components to OUTPUT, and its OCI layout to ARTIFACT."""
    (base,) = {file.parent for file in base_files}
    sources = read_sources(base, {file.parent.name: file.parent for file in component_files})
    name, layout = image
    found = Image(name, read_content(layout).root.digest)
    if registry:
        found = found.in_registry(registry)
    output.write_bytes(to_archive(make_chart(sources, found, read_version(version_file).version)))
    write_artifact(output, artifact)


if __name__ == "__main__":
    main()
