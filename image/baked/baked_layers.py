"""Writes an installed prefix as layers of an image."""

import tarfile
from collections.abc import Iterator, Sequence
from hashlib import file_digest
from pathlib import Path, PurePosixPath

from image.baked.installation import Sources, install_prefix
from image.baked.parts import find_wheels, split_prefix
from image.errors import ImageError
from image.model.baked_environment import BAKED_PATH, BakedEnvironment, format_baked
from image.model.split import Part, folders_of
from image.oci.layer import Members, format_layer, write_layer
from layers.install import DEFAULT_PREFIX

_TOP = PurePosixPath(str(DEFAULT_PREFIX).lstrip("/"))
# What names a path of the build is text, and small.
_TEXT_BYTES = 100_000


def write_baked_layers(baked: BakedEnvironment, sources: Sources, scratch: Path, output: Path) -> None:
    """Install an environment, and write it as layers: `00.tar.gz`, `00.json` and so on.

    Args:
        baked: The environment.
        sources: What it is installed from.
        scratch: An empty folder, on the file system that takes both wheels and environment.
        output: Folder of the layers.

    Raises:
        ImageError: A wheel is missing; the installer failed; the result names the folder of the build.
    """
    wheels = find_wheels(baked, sources.wheels)
    prefix = install_prefix(baked, sources, scratch)
    output.mkdir(parents=True, exist_ok=True)
    parts = split_prefix(prefix, baked, wheels)
    for number, part in enumerate(parts):
        _refuse_own_path(prefix, part)
        extra = {BAKED_PATH: format_baked(baked)} if part is parts[-1] else {}
        blob = output / f"{number:02}.tar.gz"
        layer = write_layer(blob, _members(prefix, part.paths, extra), part.title)
        (output / f"{number:02}.json").write_text(format_layer(layer))


def _refuse_own_path(prefix: Path, part: Part) -> None:
    """Refuse an installation that works at the place of its build only."""
    own = str(prefix).encode()
    for path in part.paths:
        file = prefix / path
        if file.is_symlink():
            wrong = str(prefix) in str(file.readlink())
        else:
            wrong = file.stat().st_size < _TEXT_BYTES and own in file.read_bytes()
        if wrong:
            raise ImageError(f"{path}: names the folder of the build, {prefix}; the image would not work")


def _members(prefix: Path, paths: Sequence[PurePosixPath], extra: dict[str, str]) -> Members:
    targets = {path: _TOP / path for path in paths}
    for folder in folders_of([*targets.values(), *map(PurePosixPath, extra)]):
        member = tarfile.TarInfo(str(folder))
        member.type, member.mode = tarfile.DIRTYPE, 0o755
        yield member, None
    yield from _files(prefix, targets)
    for name, text in extra.items():
        member = tarfile.TarInfo(name)
        member.mode, member.size = 0o644, len(text.encode())
        yield member, text.encode()


def _files(
    prefix: Path, targets: dict[PurePosixPath, PurePosixPath]
) -> Iterator[tuple[tarfile.TarInfo, Path | None]]:
    # By content, not by inode: the links between equal files may depend on the order of steps.
    first: dict[tuple[str, int], PurePosixPath] = {}
    for path, target in targets.items():
        source = prefix / path
        member = tarfile.TarInfo(str(target))
        if source.is_symlink():
            member.type, member.linkname = tarfile.SYMTYPE, str(source.readlink())
            yield member, None
            continue
        member.mode = 0o755 if source.stat().st_mode & 0o100 else 0o644
        with source.open("rb") as stream:
            key = (file_digest(stream, "sha256").hexdigest(), member.mode)
        known = first.setdefault(key, target)
        if known != target:
            member.type, member.linkname = tarfile.LNKTYPE, str(known)
            yield member, None
        else:
            member.size = source.stat().st_size
            yield member, source
