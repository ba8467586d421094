"""Makes a layer of wheels: a Bazel action."""

import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path
from zipfile import BadZipFile

import click
from installer import install
from installer.destinations import SchemeDictionaryDestination
from installer.exceptions import InstallerError
from installer.sources import WheelFile

from gens.command import MonobaseCommand
from image.debian.rootfs.bytecode import compile_sources
from image.debian.rootfs.programs import unpack_programs
from image.errors import ImageError
from image.oci.layer import format_layer, write_layer

_PATH = click.Path(path_type=Path)
# The folder for an administrator's packages in Debian's Python 3.13 (its scheme `posix_local`).
_PYTHON = "/usr/bin/python3.13"
_LIBRARY = "/usr/local/lib/python3.13/dist-packages"
_SCHEME = {
    "purelib": _LIBRARY,
    "platlib": _LIBRARY,
    "headers": "/usr/local/include/python3.13",
    "scripts": "/usr/local/bin",
    "data": "/usr/local",
}


@click.command(cls=MonobaseCommand)
@click.option("--blob", type=_PATH, required=True)
@click.option("--facts", type=_PATH, required=True)
@click.option(
    "--python",
    "packages",
    type=_PATH,
    multiple=True,
    required=True,
    help="A .deb file of the images' Python, for the builder's architecture.",
)
@click.argument("wheels", type=_PATH, nargs=-1, required=True)
def main(blob: Path, facts: Path, packages: tuple[Path, ...], wheels: tuple[Path, ...]) -> None:
    """Install WHEELS into a layer, and compile them."""
    with tempfile.TemporaryDirectory() as directory:
        scratch = Path(directory, "root")
        destination = SchemeDictionaryDestination(
            scheme_dict=_SCHEME, interpreter=_PYTHON, script_kind="posix", destdir=str(scratch)
        )
        for path in sorted(wheels, key=lambda path: path.name):
            try:
                with WheelFile.open(path) as source:
                    install(source, destination, {"INSTALLER": b"monobase\n"})
            except (BadZipFile, InstallerError, OSError, LookupError, ValueError, AssertionError) as error:
                raise ImageError(
                    f"{path}: cannot be installed as a wheel beside {len(wheels) - 1} others: {error}"
                ) from error
        compile_sources(
            unpack_programs(packages, Path(directory, "python")), scratch / _LIBRARY.lstrip("/"), scratch
        )
        created_by = f"{len(wheels)} wheels of tools/python/requirements.txt"
        facts.write_text(format_layer(write_layer(blob, _members(scratch), created_by)))


def _members(root: Path) -> Iterator[tuple[tarfile.TarInfo, Path | None]]:
    for path in sorted(root.rglob("*")):
        member = tarfile.TarInfo(str(path.relative_to(root)))
        if path.is_dir():
            member.type, member.mode = tarfile.DIRTYPE, 0o755
            yield member, None
        else:
            member.mode = 0o755 if path.stat().st_mode & 0o100 else 0o644
            member.size = path.stat().st_size
            yield member, path


if __name__ == "__main__":
    main()
