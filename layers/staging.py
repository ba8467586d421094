"""Makes a folder aside, and renames it: under its final name it is complete, or as it was before."""

import contextlib
import ctypes
import errno
import fcntl
import glob
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

from layers.errors import LayerPlaceError
from layers.layer_file import LAYER_FILE, is_layer

_NEW = "monobase-new"
_FOLDER_MODE = 0o755
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
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
    made: list[Path] = []
    folder = to.with_name(f".{to.name}.{_NEW}-{secrets.token_hex(4)}")
    descriptor = None
    try:  # from before it exists: a signal may come at any time
        _make_parents(to, made)
        _remove_leftovers(to)
        descriptor = _make_locked(folder, made)
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if descriptor is not None:
            os.close(descriptor)
        if not to.exists():
            with contextlib.suppress(OSError):  # another installation uses it by now
                for parent in reversed(made):
                    parent.rmdir()


def _make_parents(to: Path, made: list[Path]) -> None:
    """Make the missing parents of a folder, and add them to a list.

    Their modes depend on no umask: an image of which they become a part runs as another user.
    """
    for parent in reversed([parent for parent in to.parents if not parent.exists()]):
        with contextlib.suppress(FileExistsError):
            parent.mkdir()
            made.append(parent)
            parent.chmod(_FOLDER_MODE)


def _remove_leftovers(to: Path) -> None:
    for left in to.parent.glob(f".{glob.escape(to.name)}.{_NEW}-*"):
        descriptor = _lock(left)
        if descriptor is not None:
            shutil.rmtree(left, ignore_errors=True)
            os.close(descriptor)


def _make_locked(folder: Path, made: list[Path]) -> int:
    while True:
        try:
            folder.mkdir(mode=0o700)
        except FileNotFoundError:
            if folder.parent.exists():
                raise
            _make_parents(folder, made)  # another installation that failed has removed those that it had made
            continue
        descriptor = _lock(folder)
        if descriptor is not None:
            # Another installation may have taken it for a leftover before it was locked.
            if folder.is_dir():
                return descriptor
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


def check_path(path: Path) -> None:
    """Refuse a path that no model can have: activation separates paths by colons, and reads them from lines.

    Args:
        path: The path of a layer, or of a prefix.

    Raises:
        LayerPlaceError: It has a colon or a control character, or is not UTF-8.
    """
    text = os.fspath(path)
    if ":" in text or _CONTROL.search(text) or not _is_utf8(text):
        raise LayerPlaceError(
            f"{text!a}: has a colon, a control character or a byte that is not UTF-8, and no model can "
            "use such a path; name another folder"
        )


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _check_place(to: Path) -> None:
    check_path(to)
    if to == Path("/"):
        raise LayerPlaceError("/: cannot become a layer; name a folder, such as /opt/venv")
    for parent in to.parents:
        if parent.exists() and not parent.is_dir():
            raise LayerPlaceError(f"{to}: {parent} is not a directory; name another folder")
    if os.path.ismount(to):
        raise _is_mount(to)
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


def _is_mount(to: Path) -> LayerPlaceError:
    return LayerPlaceError(f"{to}: is a mount; name a folder below it")


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
                raise _is_mount(to) from error
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}:
                raise
        else:
            return
        _check_place(to)
        # Another installation may have moved it aside in the meantime, or may put its own there next.
        with contextlib.suppress(FileNotFoundError):
            to.rename(new.with_name(f"former-{number}"))
    raise LayerPlaceError(f"{to}: other installations keep replacing it; start one at a time")
