"""Reads wheel files, and rewrites built ones so that the same content is the same bytes."""

import zipfile
from pathlib import Path

from packaging.utils import InvalidWheelFilename, canonicalize_name, parse_wheel_filename

from gens.lock import LockedWheel
from tools.layer.errors import BuildError
from tools.layer.source_digest import file_digest
from tools.locking.target_tags import target_tags

_EPOCH = (1980, 1, 1, 0, 0, 0)
_EXECUTABLE_BITS = 0o111
_CHUNK_BYTES = 1 << 20


def locked_file(path: Path) -> LockedWheel:
    """Return the line of a lock for a wheel file.

    Raises:
        BuildError: Its name is not that of a wheel.
    """
    try:
        name, version, _, _ = parse_wheel_filename(path.name)
    except (InvalidWheelFilename, ValueError) as error:
        raise BuildError(f"{path}: is not named as a wheel: {error}") from error
    return LockedWheel(
        canonicalize_name(name), str(version), file_digest(path), path.name, path.stat().st_size
    )


def check_tags(path: Path, python: str, platform: str, what: str) -> None:
    """Check that a wheel runs on a target.

    Args:
        path: The wheel.
        python: Full version of the target's interpreter.
        platform: Platform in uv's words.
        what: What was asked for, for the message.

    Raises:
        BuildError: None of its tags is one of the target.
    """
    try:
        tags = parse_wheel_filename(path.name)[3]
    except (InvalidWheelFilename, ValueError) as error:
        raise BuildError(f"{what}: {path.name} is not named as a wheel: {error}") from error
    if tags.isdisjoint(target_tags(python, platform)):
        minor = ".".join(python.split(".")[:2])
        raise BuildError(
            f"{what}: {path.name} does not run on Python {minor} for {platform}; where it is built here, "
            f"`uv python install {minor}` lets this machine build for it, otherwise name another wheel"
        )


def normalize(path: Path) -> None:
    """Rewrite a wheel in place: members by name, one date, and modes of 644 or 755."""
    staging = path.with_suffix(".new")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(staging, "w") as new:
        # RECORD stands last, as the format recommends.
        infos = [info for info in old.infolist() if not info.is_dir()]
        for info in sorted(
            infos, key=lambda info: (info.filename.endswith(".dist-info/RECORD"), info.filename)
        ):
            fresh = zipfile.ZipInfo(info.filename, _EPOCH)
            is_executable = info.external_attr >> 16 & _EXECUTABLE_BITS
            fresh.external_attr = (0o100755 if is_executable else 0o100644) << 16
            fresh.create_system = 3
            fresh.compress_type = zipfile.ZIP_DEFLATED
            with (
                old.open(info) as source,
                new.open(fresh, "w", force_zip64=info.file_size >= 1 << 31) as target,
            ):
                while chunk := source.read(_CHUNK_BYTES):
                    target.write(chunk)
    staging.replace(path)
