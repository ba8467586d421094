"""Makes a layer of a tar archive: a Bazel action."""

from pathlib import Path

import click

from gens.command import MonobaseCommand
from image.oci.layer import compress_layer, format_layer

_PATH = click.Path(path_type=Path)


@click.command(cls=MonobaseCommand)
@click.argument("tar", type=_PATH)
@click.argument("blob", type=_PATH)
@click.argument("facts", type=_PATH)
@click.argument("created_by")
def main(tar: Path, blob: Path, facts: Path, created_by: str) -> None:
    """Compress TAR to BLOB, and write its digests and sizes to FACTS."""
    facts.write_text(format_layer(compress_layer(tar, blob, created_by)))


if __name__ == "__main__":
    main()
