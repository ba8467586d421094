"""Makes a folder aside, and renames it: under its final name it is complete, or as it was before."""

import contextlib
import ctypes
import errno
import fcntl
import glob
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from layers.errors import LayerPlaceError
from layers.layer_file import LAYER_FILE, is_layer

_NEW = "monobase-new"
_TRIES = 10
_LIBC = ctypes.CDLL(None)
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


@contextlib.contextmanager
def staged(to: Path) -> Iterator[Path]:
    """Make a folder for a layer beside its final place, and remove it at the end.

    It is locked while it is in use: an installation into the same place removes what a killed one has left,
    and nothing else.

    Args:
        to: The final place.

    Yields:
        The folder, on the file system of the final place.

    Raises:
        LayerPlaceError: Something else than a layer or an empty folder is there.
        OSError: It cannot be made.
    """
    _check_place(to)
    to.parent.mkdir(parents=True, exist_ok=True)
    for left in to.parent.glob(f".{glob.escape(to.name)}.{_NEW}-*"):
        descriptor = _lock(left)
        if descriptor is not None:
            shutil.rmtree(left, ignore_errors=True)
            os.close(descriptor)
    folder, descriptor = _make_locked(to)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(descriptor)


def _make_locked(to: Path) -> tuple[Path, int]:
    while True:
        folder = Path(tempfile.mkdtemp(prefix=f".{to.name}.{_NEW}-", dir=to.parent))
        descriptor = _lock(folder)
        if descriptor is not None:
            # Another installation may have taken it for a leftover before it was locked.
            if folder.is_dir():
                return folder, descriptor
            os.close(descriptor)


def _lock(folder: Path) -> int | None:
    """Lock a folder; return its descriptor, or None if another process has locked or removed it."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except OSError:
        pass  # a file system without locks
    return descriptor


def _check_place(to: Path) -> None:
    if to.is_symlink():
        raise LayerPlaceError(f"{to}: is a link; name the folder that it leads to")
    if to.is_dir():
        if not is_layer(to) and any(to.iterdir()):
            raise LayerPlaceError(
                f"{to}: holds something else than a layer (it has no {LAYER_FILE}); remove it, or name "
                "another folder"
            )
    elif to.exists():
        raise LayerPlaceError(f"{to}: is not a directory; remove it, or name another folder")


def _exchange(new: Path, to: Path) -> bool:
    """Exchange two folders in one step, so that a model never meets neither; return whether that was done."""
    if not hasattr(_LIBC, "renameat2") or not to.is_dir():
        return False
    return bool(
        _LIBC.renameat2(_AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(to), _RENAME_EXCHANGE) == 0
    )


def publish(new: Path, to: Path) -> None:
    """Rename a complete folder to its final name, in place of an empty folder or another layer.

    Args:
        new: The folder, directly below that of `staged`.
        to: The final place.

    Raises:
        LayerPlaceError: The final place is a mount, or something else has come there.
        OSError: It cannot be renamed.
    """
    for number in range(_TRIES):
        if _exchange(new, to):
            return
        try:
            new.rename(to)
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise LayerPlaceError(f"{to}: is a mount; name a folder below it") from error
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}:
                raise
        else:
            return
        _check_place(to)
        # Another installation may have moved it aside in the meantime, or may put its own there next.
        with contextlib.suppress(FileNotFoundError):
            to.rename(new.with_name(f"former-{number}"))
    raise LayerPlaceError(f"{to}: other installations keep replacing it; start one at a time")
