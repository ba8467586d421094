"""Makes the bill of materials of an image of a model or with an environment in it: a Bazel action."""

import logging
from pathlib import Path

import click

from gens.command import MonobaseCommand
from image.debian.lock.lock_file import parse_lock
from image.errors import ImageError
from image.model.baked_environment import BAKED_PATH, BakedEnvironment, parse_baked
from image.model.bill_environment import image_environment, node_environment
from image.model.derived_image import base_for
from image.model.facts import ModelFacts, read_facts
from image.oci.layout import Layout, read_layout
from image.sbom.bill import format_bill, make_bill
from image.sbom.contents import Contents, read_contents
from image.sbom.image_files import read_files
from image.sbom.node_environment import NodeEnvironment
from layers.lock import read_layer_lock

_PATH = click.Path(path_type=Path)


@click.command(cls=MonobaseCommand)
@click.option("--image", "image_path", type=_PATH, required=True, help="OCI layout of the image.")
@click.option("--base", "base_path", type=_PATH, help="OCI layout of the image below a model.")
@click.option("--facts", "facts_path", type=_PATH, help="Facts of the environment of a model.")
@click.option("--layer-lock", type=_PATH, help="The layer lock of a model.")
@click.option("--debian-lock", type=_PATH, required=True, help="Lock of the Debian packages.")
@click.option("--output", type=_PATH, required=True)
def main(
    image_path: Path,
    base_path: Path | None,
    facts_path: Path | None,
    layer_lock: Path | None,
    debian_lock: Path,
    output: Path,
) -> None:
    """Write the bill of a model's image, or, without FACTS, of an image with an environment in it."""
    # The parser warns of each URL in the field `Format` that is not spelled as Debian spells it today.
    logging.getLogger("debian.copyright").setLevel(logging.ERROR)
    facts = None if facts_path is None else read_facts(facts_path)
    image = read_layout(image_path)
    base = None if base_path is None or facts is None else base_for(base_path, facts.architecture)
    contents = read_contents(image, base)
    locked = () if layer_lock is None else read_layer_lock(layer_lock).wheels
    digests = {wheel.name: wheel.sha256 for wheel in locked}
    # By the versions in METADATA: an index may write one in another way (1.0 and 1.0.0).
    wheels = {
        (wheel.name, wheel.version): digests[wheel.name]
        for wheel, _ in contents.wheels
        if wheel.name in digests
    }
    lock = parse_lock(debian_lock.read_text(), debian_lock)
    bill = make_bill(contents, lock, wheels, _environment(image, contents, facts))
    output.write_text(format_bill(bill))


def _environment(image: Layout, contents: Contents, facts: ModelFacts | None) -> NodeEnvironment:
    if contents.environment_wheels:
        return image_environment(_read_baked(image), () if facts is None else facts.overridden)
    if facts is None:
        raise ImageError(f"{image.directory}: holds no environment; give the facts of a model")
    return node_environment(facts)


def _read_baked(image: Layout) -> BakedEnvironment:
    found = read_files(image, lambda path: path == BAKED_PATH).read(BAKED_PATH)
    path = image.directory / BAKED_PATH
    if found is None:
        raise ImageError(f"{path}: the description of the environment in the image is missing")
    return parse_baked(found, path)


if __name__ == "__main__":
    main()
