"""Makes the layers of Debian packages: a Bazel action that turns .deb files into blobs of an image."""

import tarfile
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import click

from gens.command import MonobaseCommand
from image.architecture import find_architecture
from image.debian.lock.lock_file import LockedPackage, parse_lock
from image.debian.rootfs.configuration import configure, find_steps
from image.debian.rootfs.dpkg_database import write_database
from image.debian.rootfs.package import Package, open_package
from image.debian.rootfs.programs import unpack_programs
from image.debian.rootfs.tree import Entry, Tree, difference
from image.errors import ImageError
from image.oci.layer import Layer, compress_layer, format_layer, write_archive

_PATH = click.Path(path_type=Path)
# Number of packages that are decompressed in memory at a time; the largest, LLVM's library, has 120 MB.
_AHEAD = 2


@click.command(cls=MonobaseCommand)
@click.option("--lock", "lock_path", type=_PATH, required=True)
@click.option("--tables", type=_PATH, required=True, help="Folder of scripts.txt and alternatives.txt.")
@click.option("--packages", type=_PATH, required=True, help="Folder of the .deb files.")
@click.option(
    "--program",
    "program_packages",
    type=_PATH,
    multiple=True,
    required=True,
    help="A .deb file for the builder's architecture, of programs that configure the image.",
)
@click.option("--output", type=_PATH, required=True, help="Folder for LAYER.tar.gz and LAYER.json.")
def main(
    lock_path: Path, tables: Path, packages: Path, program_packages: tuple[Path, ...], output: Path
) -> None:
    """Write a blob and its facts for each layer of the lock."""
    lock = parse_lock(lock_path.read_text(), lock_path)
    date_s = int(datetime.fromisoformat(lock.date).timestamp())
    all_layers = {
        layer: [_open(packages, package, lock_path) for package in locked]
        for layer, locked in lock.layers.items()
    }
    # Report an unknown script at once, not after the layers below are made.
    find_steps([package for opened in all_layers.values() for package in opened], tables)
    # A layer is compressed while the next one is unpacked.
    with tempfile.TemporaryDirectory(dir=output) as scratch, ThreadPoolExecutor(1) as pool:
        compressed: dict[str, Future[Layer]] = {}
        programs = unpack_programs(program_packages, Path(scratch, "programs"))
        tree = Tree(Path(scratch, "root").resolve(), date_s, find_architecture(lock.architecture))
        tree.root.mkdir()
        installed: list[Package] = []
        below: dict[str, Entry] = {}
        for layer, opened in all_layers.items():
            # base-files has the folders and links that all other packages need.
            ordered = sorted(opened, key=lambda package: package.name != "base-files")
            for package, data in _decompressed(ordered):
                tree.unpack(package, data)
            installed = sorted([*installed, *opened], key=lambda package: package.name)
            configure(tree, installed, tables, programs)
            write_database(tree, installed)
            state = tree.state()
            archive = Path(scratch, f"{layer}.tar")
            write_archive(archive, _members(tree, difference(below, state)))
            created_by = f"{len(opened)} packages of Debian {lock.suites[0]}: {layer}"
            compressed[layer] = pool.submit(compress_layer, archive, output / f"{layer}.tar.gz", created_by)
            below = state
        for layer, written in compressed.items():
            (output / f"{layer}.json").write_text(format_layer(written.result()))


def _decompressed(packages: Sequence[Package]) -> Iterator[tuple[Package, bytes]]:
    """Yield packages with their data; threads decompress a few of them ahead."""
    with ThreadPoolExecutor(_AHEAD) as pool:
        waiting: deque[tuple[Package, Future[bytes]]] = deque()
        for package in packages:
            waiting.append((package, pool.submit(package.data)))
            if len(waiting) > _AHEAD:
                first, data = waiting.popleft()
                yield first, data.result()
        for last, data in waiting:
            yield last, data.result()


def _open(packages: Path, locked: LockedPackage, lock_path: Path) -> Package:
    opened = open_package(packages / locked.source_file)
    if (opened.name, opened.version) != (locked.name, locked.version):
        raise ImageError(f"{opened.path}: is {opened.name} {opened.version}, not what {lock_path} says")
    return opened


def _members(tree: Tree, entries: Mapping[str, Entry]) -> Iterator[tuple[tarfile.TarInfo, Path | None]]:
    # Sorting puts a folder before its content; files that hard links name come before all links.
    for hard in (False, True):
        for name in sorted(entries):
            if (entries[name].kind == tarfile.LNKTYPE) is hard:
                yield entries[name].member(name), tree.path(name) if entries[name].size_bytes else None


if __name__ == "__main__":
    main()
