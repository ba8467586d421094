"""Keeps the folders in which models share compiled code (Inductor, Triton, CUDA) within a size.

A folder lies outside of the prefix and belongs to the operator. The runtime makes `uid-UID/ENVIRONMENT/GPU`
in it, whose file `.used` has the time of the last start (`runtime/activation/compile_cache.sh`). What a model
loads from there is code, so each user has a folder of its own with mode 0700, and the folder above is sticky,
as /tmp. The daemon only makes that folder, and removes whole `GPU` folders, least recently used first.

Models write below `uid-UID` what they like, at any moment: every step of the daemon goes through an open
folder, and follows no link.
"""

import errno
import os
import secrets
import shutil
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from daemon.errors import DiskError

_MODE = 0o1777
_USED = ".used"
_REMOVED = ".removed-"
_IN_USE_S = 3600
_FOLDER_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class CacheUnit:
    """The compiled code of one user for one environment and GPU.

    Attributes:
        parts: Names of its folder and of the two above it.
        used_s: When a model that uses it has started last, in seconds since the epoch.
        size_bytes: Bytes that it takes on the disk.
    """

    parts: tuple[str, str, str]
    used_s: float
    size_bytes: int


@dataclass(frozen=True, slots=True)
class CacheCleaning:
    """The result of a cleaning.

    Attributes:
        size_bytes: Bytes that the cache takes now.
        removed: What was removed, as `uid-UID/ENVIRONMENT/GPU`.
        freed_bytes: Bytes that this has freed.
    """

    size_bytes: int
    removed: tuple[str, ...]
    freed_bytes: int


def prepare_compile_cache(directory: Path) -> None:
    """Make the folder, writable for all and sticky.

    One that somebody else owns stays as it is: the runtime looks whether it is safe.

    Args:
        directory: The folder; the one above it exists.

    Raises:
        DiskError: It cannot be made, or is not a folder.
    """
    try:
        with suppress(FileExistsError):
            directory.mkdir()
        descriptor = os.open(directory, _FOLDER_FLAGS)
        try:
            status = os.fstat(descriptor)
            if status.st_uid == os.geteuid() and stat.S_IMODE(status.st_mode) != _MODE:
                os.fchmod(descriptor, _MODE)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise DiskError(
            f"{directory}: the compile cache cannot be made: {error.strerror}; mount a folder of the node "
            "there, or leave --compile-cache out"
        ) from error


def clean_compile_cache(directory: Path, most_bytes: int) -> CacheCleaning:
    """Remove what was used longest ago until the cache is within its size.

    What a model has started with within the last hour stays.

    Args:
        directory: The folder.
        most_bytes: The most that it may take.

    Returns:
        What was found and removed.

    Raises:
        DiskError: Something cannot be listed or removed.
    """
    try:
        with _opened(os.fspath(directory)) as top:
            _remove_leftovers(top)
            units = sorted(_units(top), key=lambda unit: unit.used_s)
            total = sum(unit.size_bytes for unit in units)
            removed, freed = [], 0
            newest_s = time.time() - _IN_USE_S
            for unit in units:
                if total - freed <= most_bytes or unit.used_s > newest_s:
                    break
                _remove(top, unit.parts)
                removed.append("/".join(unit.parts))
                freed += unit.size_bytes
            return CacheCleaning(total - freed, tuple(removed), freed)
    except PermissionError as error:
        raise DiskError(
            f"{directory}: the compile cache cannot be cleaned: {error.strerror} ({error.filename}); "
            "the folders of models are theirs alone: the daemon needs the capability DAC_OVERRIDE"
        ) from error
    except OSError as error:
        raise DiskError(f"{directory}: the compile cache cannot be cleaned: {error.strerror}") from error


def _units(top: int) -> Iterator[CacheUnit]:
    for user in _names(top):
        if not user.startswith("uid-"):
            continue  # it is not of the runtime
        with _inside(top, user) as owner:
            for environment in _names(owner):
                with _inside(owner, environment) as folder:
                    for gpu in _names(folder):
                        with _inside(folder, gpu) as unit:
                            if unit is not None:
                                used_s = _used_s(unit)
                                yield CacheUnit((user, environment, gpu), used_s, _size_bytes(unit))


def _used_s(unit: int) -> float:
    """Return when a unit was used last; a time to come, which anybody can write, counts as now."""
    try:
        found = os.stat(_USED, dir_fd=unit, follow_symlinks=False).st_mtime
    except OSError:
        found = os.fstat(unit).st_mtime
    return min(found, time.time())


def _size_bytes(unit: int) -> int:
    total = 0
    for _, folders, files, descriptor in os.fwalk(".", dir_fd=unit, follow_symlinks=False):
        for name in (*folders, *files):
            with suppress(OSError):  # it has just gone
                total += os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_blocks * 512
    return total


def _remove(top: int, parts: Sequence[str]) -> None:
    """Rename a unit out of its owner's reach, then remove it, and the folders that are empty without it."""
    user, environment, gpu = parts
    name = f"{_REMOVED}{secrets.token_hex(8)}"
    with _inside(top, user) as owner, _inside(owner, environment) as folder:
        if folder is None:
            return
        try:
            os.rename(gpu, name, src_dir_fd=folder, dst_dir_fd=top)
        except FileNotFoundError:
            return
        shutil.rmtree(name, dir_fd=top)
        with suppress(OSError):
            os.rmdir(environment, dir_fd=owner)


def _remove_leftovers(top: int) -> None:
    for name in _names(top):
        if name.startswith(_REMOVED):  # of a daemon that was killed
            with suppress(FileNotFoundError, NotADirectoryError):
                shutil.rmtree(name, dir_fd=top)


def _names(descriptor: int | None) -> list[str]:
    return [] if descriptor is None else sorted(os.listdir(descriptor))  # noqa: PTH208 (an open folder)


@contextmanager
def _opened(path: str, above: int | None = None) -> Iterator[int]:
    descriptor = os.open(path, _FOLDER_FLAGS, dir_fd=above)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _inside(above: int | None, name: str) -> Iterator[int | None]:
    """Open a folder in another one; None for a link, a file, or what has just gone."""
    descriptor = None
    if above is not None:
        with suppress(FileNotFoundError, NotADirectoryError):
            try:
                descriptor = os.open(name, _FOLDER_FLAGS, dir_fd=above)
            except OSError as error:
                if error.errno != errno.ELOOP:
                    raise
    try:
        yield descriptor
    finally:
        if descriptor is not None:
            os.close(descriptor)
