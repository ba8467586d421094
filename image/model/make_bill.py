"""Makes the bill of materials of a model's image: a Bazel action."""

import logging
from pathlib import Path

import click

from gens.command import MonobaseCommand
from gens.generation import generation_directory_name
from image.debian.lock.lock_file import parse_lock
from image.model.facts import ModelFacts, read_facts
from image.oci.image_index import ImageIndex, read_content
from image.oci.layout import read_layout
from image.sbom.bill import format_bill, make_bill
from image.sbom.contents import read_contents
from image.sbom.node_environment import NodeEnvironment, NodePackage
from layers.lock import read_layer_lock

_PATH = click.Path(path_type=Path)


@click.command(cls=MonobaseCommand)
@click.option("--image", type=_PATH, required=True, help="OCI layout of the model.")
@click.option("--base", "base_path", type=_PATH, required=True, help="OCI layout of the image below.")
@click.option("--facts", "facts_path", type=_PATH, required=True, help="Facts of the environment.")
@click.option("--layer-lock", type=_PATH, required=True, help="The layer lock.")
@click.option("--debian-lock", type=_PATH, required=True, help="Lock of the Debian packages.")
@click.option("--output", type=_PATH, required=True)
def main(
    image: Path, base_path: Path, facts_path: Path, layer_lock: Path, debian_lock: Path, output: Path
) -> None:
    """Write the bill of a model's image."""
    # The parser warns of each URL in the field `Format` that is not spelled as Debian spells it today.
    logging.getLogger("debian.copyright").setLevel(logging.ERROR)
    facts = read_facts(facts_path)
    content = read_content(base_path)
    base = content.image(facts.architecture) if isinstance(content, ImageIndex) else content
    contents = read_contents(read_layout(image), base)
    digests = {wheel.name: wheel.sha256 for wheel in read_layer_lock(layer_lock).wheels}
    # By the versions in METADATA: an index may write one in another way (1.0 and 1.0.0).
    wheels = {
        (wheel.name, wheel.version): digests[wheel.name]
        for wheel, _ in contents.wheels
        if wheel.name in digests
    }
    lock = parse_lock(debian_lock.read_text(), debian_lock)
    bill = make_bill(contents, lock, wheels, _environment(facts))
    output.write_text(format_bill(bill))


def _environment(facts: ModelFacts) -> NodeEnvironment:
    return NodeEnvironment(
        generation_directory_name(facts.generation),
        facts.environment,
        facts.base.removeprefix("sha256:"),
        tuple(NodePackage(package.name, package.version, package.sha256) for package in facts.packages),
        frozenset(facts.overridden),
    )


if __name__ == "__main__":
    main()
