"""Writes an installed layer of packages as layers of an image."""

import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import file_digest
from pathlib import Path, PurePosixPath

import click

from image.errors import ImageError
from image.model.split import Part, folders_of, split_layer
from image.oci.layer import format_layer, write_layer
from layers.install import LayerOptions, install_layer
from layers.lock import LayerLock
from layers.uv import WheelSources


@dataclass(frozen=True, slots=True)
class Place:
    """The place where a layer of packages is used.

    Attributes:
        folder: Its folder in the image, an absolute path.
        prefix: The prefix of the nodes.
        python: An interpreter of the minor version of the base, for the bytecode; None for no bytecode.
    """

    folder: str
    prefix: Path
    python: Path | None = None


def write_package_layers(
    lock: LayerLock, lock_path: Path, wheels: Sequence[Path], place: Place, scratch: Path, output: Path
) -> None:
    """Install the wheels of a lock, and write them as layers: `00.tar.gz`, `00.json` and so on.

    Args:
        lock: The lock.
        lock_path: Its file, for messages.
        wheels: Its wheel files; others may be among them.
        place: Where the layer will be, and its base.
        scratch: An empty folder.
        output: Folder of the layers.

    Raises:
        ImageError: A wheel of the lock is missing.
        MonobaseError: A wheel cannot be installed.
    """
    refuse_missing(lock, lock_path, wheels)
    gathered = gather_wheels(wheels, scratch)
    root = scratch / "layer"
    # Of this machine's Pythons, only the named one compiles: the image is the same wherever it is made.
    options = LayerOptions(
        prefix=place.prefix,
        sources=WheelSources((gathered,), offline=True),
        python=place.python,
        warn=lambda text: click.echo(f"warning: {lock_path}: {text}", err=True),
    )
    install_layer(lock, root, options)
    output.mkdir(parents=True, exist_ok=True)
    for number, part in enumerate(split_layer(root, lock.wheels)):
        blob = output / f"{number:02}.tar.gz"
        layer = write_layer(blob, _members(root, place.folder, part), f"{lock_path.name}: {part.title}")
        (output / f"{number:02}.json").write_text(format_layer(layer))


def gather_wheels(wheels: Sequence[Path], scratch: Path) -> Path:
    """Return a folder with links to some wheels.

    Args:
        wheels: The wheels.
        scratch: The folder to make it in.
    """
    gathered = scratch / "wheels"
    gathered.mkdir()
    for path in wheels:
        (gathered / path.name).symlink_to(path.absolute())
    return gathered


def refuse_missing(lock: LayerLock, lock_path: Path, wheels: Sequence[Path]) -> None:
    """Refuse wheels that are not those of a lock.

    Args:
        lock: The lock.
        lock_path: Its file, for messages.
        wheels: The wheel files.

    Raises:
        ImageError: A wheel is missing, or is another file; the message has both digests.
    """
    found = {path.name: path for path in wheels}
    missing = [wheel.filename for wheel in lock.wheels if wheel.filename not in found]
    if missing:
        raise ImageError(
            f"{lock_path}: {len(missing)} of its {len(lock.wheels)} wheels are not among those of the model:"
            f" {', '.join(missing[:5])}; give wheels = the repository that"
            " model_wheels.lock of MODULE.bazel makes of this lock"
        )
    for wheel in lock.wheels:
        with found[wheel.filename].open("rb") as stream:
            digest = file_digest(stream, "sha256").hexdigest()
        if digest != wheel.sha256:
            raise ImageError(
                f"{found[wheel.filename]}: is not the wheel of {lock_path}: expected sha256:{wheel.sha256},"
                f" found sha256:{digest}"
            )


def _members(root: Path, folder: str, part: Part) -> Iterator[tuple[tarfile.TarInfo, Path | None]]:
    top = PurePosixPath(folder.lstrip("/"))
    for path in folders_of([top / "file", *(top / path for path in part.paths)]):
        member = tarfile.TarInfo(str(path))
        member.type, member.mode = tarfile.DIRTYPE, 0o755
        yield member, None
    for path in part.paths:
        source = root / path
        member = tarfile.TarInfo(str(top / path))
        if source.is_symlink():
            member.type, member.linkname = tarfile.SYMTYPE, str(source.readlink())
            yield member, None
        else:
            member.mode = 0o755 if source.stat().st_mode & 0o100 else 0o644
            member.size = source.stat().st_size
            yield member, source
