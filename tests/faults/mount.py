"""Small file systems of a test's own, which vanish with it."""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

_MB = 1_000_000
_CLONE_NEWNS = 0x00020000
_LIBC = ctypes.CDLL(None, use_errno=True)


def private_mounts() -> None:
    """Move this process and its later children to a mount namespace; skip the test if that is not allowed.

    The kernel undoes the mounts when the last of these processes ends, however it ends.
    """
    if _LIBC.unshare(_CLONE_NEWNS) != 0:
        reason = os.strerror(ctypes.get_errno())
        pytest.skip(f"a mount namespace is needed, and unshare(CLONE_NEWNS) says: {reason}")
    _run("mount", "--make-rprivate", "/")


@contextmanager
def tmpfs(directory: Path, *, size_bytes: int, inodes: int = 0) -> Iterator[Path]:
    """Mount a small file system in memory.

    Args:
        directory: Where; made if it does not exist.
        size_bytes: How much it holds.
        inodes: How many files, folders and further links it holds; 0 for no limit.

    Yields:
        The directory.
    """
    directory.mkdir(parents=True, exist_ok=True)
    _run("mount", "-t", "tmpfs", "-o", f"size={size_bytes},nr_inodes={inodes}", "none", str(directory))
    try:
        yield directory
    finally:
        _run("umount", "--lazy", str(directory))


def resize_tmpfs(directory: Path, *, size_bytes: int, inodes: int = 0) -> None:
    """Resize a file system in memory."""
    _run("mount", "-o", f"remount,size={size_bytes},nr_inodes={inodes}", str(directory))


@contextmanager
def ext4(directory: Path, *, size_bytes: int, inodes: int) -> Iterator[Path]:
    """Mount a small ext4 from a file beside the directory; skip where there are no loop devices.

    Args:
        directory: Where; made if it does not exist.
        size_bytes: Size of the file that holds it.
        inodes: How many inodes it has.

    Yields:
        The directory.
    """
    program = shutil.which("mkfs.ext4", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        pytest.skip("mkfs.ext4 is not installed here; the toolbox of ./bazelw has it")
    directory.mkdir(parents=True, exist_ok=True)
    image = directory.with_name(f"{directory.name}.ext4")
    with image.open("wb") as file:
        file.truncate(size_bytes)
    _run(program, "-q", "-b", "4096", "-m", "0", "-N", str(inodes), str(image))
    _run("mount", "-o", "loop", str(image), str(directory))
    try:
        yield directory
    finally:
        _run("umount", "--lazy", str(directory))
        image.unlink()


@contextmanager
def read_only(directory: Path) -> Iterator[None]:
    """Make what is below a folder read-only by a mount over itself, as a model's container sees it."""
    _run("mount", "--bind", str(directory), str(directory))
    try:
        _run("mount", "-o", "remount,bind,ro", str(directory))
        yield
    finally:
        _run("umount", "--lazy", str(directory))


@contextmanager
def bound(source: Path, target: Path) -> Iterator[None]:
    """Make a folder appear at a second place: the same file system, but another mount."""
    _run("mount", "--bind", str(source), str(target))
    try:
        yield
    finally:
        _run("umount", "--lazy", str(target))


def fill_bytes(path: Path, *, leave_bytes: int = 0) -> None:
    """Fill a file system up.

    Args:
        path: A new file on it, which takes the room.
        leave_bytes: How much is left.
    """
    room = os.statvfs(path.parent)
    left = room.f_bavail * room.f_frsize - leave_bytes
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while left > 0:
            left -= file.write(bytes(min(left, _MB)))
        if leave_bytes == 0:
            while True:
                file.write(b"x" * 512)


def fill_inodes(path: Path) -> None:
    """Make empty files beside a path, as many as the file system lets; their names begin with its name."""
    number = 0
    with suppress(OSError):
        while True:
            path.with_name(f"{path.name}{number}").touch()
            number += 1


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.skip(f"a small file system is needed, and {' '.join(command)} says: {done.stderr.strip()}")
