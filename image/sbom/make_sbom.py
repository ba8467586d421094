"""Makes the bill of materials of an image: a Bazel action."""

import hashlib
import logging
from pathlib import Path

import click
from packaging.utils import parse_wheel_filename

from gens.command import MonobaseCommand
from image.debian.lock.lock_file import parse_lock
from image.oci.layout import read_layout
from image.sbom.bill import format_bill, make_bill
from image.sbom.contents import read_contents

_PATH = click.Path(path_type=Path)


@click.command(cls=MonobaseCommand)
@click.option("--image", type=_PATH, required=True, help="Folder of the OCI layout.")
@click.option("--lock", "lock_path", type=_PATH, required=True, help="Lock of the Debian packages.")
@click.option("--output", type=_PATH, required=True)
@click.argument("wheels", type=_PATH, nargs=-1)
def main(image: Path, lock_path: Path, output: Path, wheels: tuple[Path, ...]) -> None:
    """Write the bill of an image in which WHEELS are installed."""
    # The parser warns of each URL in the field `Format` that is not spelled as Debian spells it today.
    logging.getLogger("debian.copyright").setLevel(logging.ERROR)
    digests = {}
    for path in wheels:
        name, version, _, _ = parse_wheel_filename(path.name)
        digests[str(name), str(version)] = hashlib.sha256(path.read_bytes()).hexdigest()
    lock = parse_lock(lock_path.read_text(), lock_path)
    output.write_text(format_bill(make_bill(read_contents(read_layout(image)), lock, digests)))


if __name__ == "__main__":
    main()
