"""Compiles sources for the Python of the image: a Bazel action."""

import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import click

from gens.command import MonobaseCommand
from image.debian.rootfs.bytecode import compile_sources
from image.debian.rootfs.programs import unpack_programs
from image.oci.layer import write_archive

_PATH = click.Path(path_type=Path)


@click.command(cls=MonobaseCommand)
@click.option("--tar", type=_PATH, required=True, help="The archive to write.")
@click.option(
    "--python",
    "packages",
    type=_PATH,
    multiple=True,
    required=True,
    help="A .deb file of the images' Python, for the builder's architecture.",
)
@click.option("--folder", required=True, help="Folder of the sources in the image.")
@click.option(
    "--source",
    "sources",
    type=(str, _PATH),
    multiple=True,
    required=True,
    help="Its path below that, and the file.",
)
def main(tar: Path, packages: tuple[Path, ...], folder: str, sources: tuple[tuple[str, Path], ...]) -> None:
    """Compile sources, and write an archive with the bytecode only."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory, "root")
        top = root / folder.strip("/")
        for name, path in sources:
            (top / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, top / name)
        compile_sources(unpack_programs(packages, Path(directory, "python")), top, root)
        write_archive(tar, _members(root))


def _members(root: Path) -> Iterator[tuple[tarfile.TarInfo, Path | None]]:
    for folder in sorted(root.rglob("__pycache__")):
        member = tarfile.TarInfo(str(folder.relative_to(root)))
        member.type, member.mode = tarfile.DIRTYPE, 0o755
        yield member, None
        for path in sorted(folder.iterdir()):
            member = tarfile.TarInfo(str(path.relative_to(root)))
            member.mode, member.size = 0o644, path.stat().st_size
            yield member, path


if __name__ == "__main__":
    main()
