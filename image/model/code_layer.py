"""Makes the layer of a model's own files."""

import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from image.errors import ImageError
from image.model.split import folders_of
from image.oci.layer import Layer, Members, write_layer

_PROGRAMS = (b"#!", b"\x7fELF")
# What is mounted over these, or who owns them, is not for an image to say; the rest is Monobase's.
_TAKEN = ("dev", "opt/monobase", "proc", "root", "run", "srv/r8/monobase", "sys", "tmp", "var/tmp")
# The home of the runtime's user is that user's. A layer that names a folder sets its owner.
_HOME = PurePosixPath("home/model")
_USER = 1000
# OCI image-spec v1.1, layer.md.
_WHITEOUT = ".wh."


def write_code_layer(path: Path, folder: str, files: Mapping[str, Path]) -> Layer:
    """Write a layer of files.

    A file is executable if it begins as a program does (`#!`, ELF). The mode of the source does not count:
    Bazel does not see a change of it.

    Args:
        path: The blob to write.
        folder: Their folder in the image, an absolute path.
        files: The files, by their paths below that folder.

    Returns:
        The layer.

    Raises:
        ImageError: A path leads out of the folder, or is a file and a folder; the folder is not the model's.
    """
    refuse_taken(folder)
    targets = {_target(folder, name): source for name, source in files.items()}
    both = set(targets) & set(folders_of(targets))
    if both:
        raise ImageError(f"/{min(both)}: is both a file and a folder of the model")
    return write_layer(path, _members(folder, targets), _title(len(targets)))


def _title(count: int) -> str:
    return f"{count} file{'' if count == 1 else 's'} of the model"


def refuse_taken(folder: str) -> None:
    """Refuse a folder that is not a model's.

    Args:
        folder: The folder, an absolute path in the image.

    Raises:
        ImageError: The path is not absolute, or is a place of the system's or of Monobase's.
    """
    path = _absolute(folder)
    if not path.is_absolute() or ".." in path.parts or path == PurePosixPath("/"):
        raise ImageError(f"{folder!r}: is not a folder in an image; write one such as /opt/model")
    _refuse_place(path)


def _absolute(folder: str) -> PurePosixPath:
    # POSIX lets two slashes at the beginning be another root; Linux does not.
    return PurePosixPath(f"/{folder.lstrip('/')}" if folder.startswith("/") else folder)


def _refuse_place(path: PurePosixPath) -> None:
    for taken in _TAKEN:
        if path.is_relative_to(f"/{taken}"):
            raise ImageError(
                f"{path}: /{taken} is not a place for files of an image; write one such as /opt/model"
            )


def _target(folder: str, name: str) -> PurePosixPath:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ImageError(
            f"{name}: lies outside of the model's folder; name a file of its package, or of another"
        )
    if any(part.startswith(_WHITEOUT) for part in path.parts):
        raise ImageError(f"{name}: in a layer, {_WHITEOUT}* removes a file of the layers below; rename it")
    target = PurePosixPath(folder.lstrip("/")) / path
    _refuse_place("/" / target)
    return target


def _members(folder: str, targets: Mapping[PurePosixPath, Path]) -> Members:
    # The working directory of the process exists even if the model has no file.
    top = PurePosixPath(folder.lstrip("/"))
    for path in sorted({*folders_of(targets), *folders_of([top / "file"])}):
        member = tarfile.TarInfo(str(path))
        member.type, member.mode = tarfile.DIRTYPE, 0o755
        if path == _HOME:
            member.uid = member.gid = _USER
        yield member, None
    yield from _files(targets)


def _files(targets: Mapping[PurePosixPath, Path]) -> Iterator[tuple[tarfile.TarInfo, Path]]:
    for path, source in sorted(targets.items()):
        member = tarfile.TarInfo(str(path))
        with source.open("rb") as stream:
            member.mode = 0o755 if stream.read(4).startswith(_PROGRAMS) else 0o644
        member.size = source.stat().st_size
        yield member, source
