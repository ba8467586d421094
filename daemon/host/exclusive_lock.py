"""An exclusive lock that a process with read-only access cannot block.

It is an OFD write lock (fcntl(2), `F_OFD_SETLK`) on a file with a name of its own. The kernel gives it only
on a descriptor that is open for writing, which a read-only mount refuses to every user; it ends with the last
process that has the descriptor. A reader can do two things all the same: take a read lock, and a lease
(`F_SETLEASE`). Neither can be had on a file that somebody holds, so whoever meets one knows that the file is
free, and that it is blocked: it gets a *successor*. For `.lock`, which is inode 12, that is `.lock.12`.

1. To hold a file is to have the write lock on the inode that the name stands for, and to have seen, after it
   was locked, that it has no successor, and then that the name still stands for it.
2. The successor of a blocked file is locked first, in the same way (it may have been blocked as well). From
   then on nobody comes to hold the old one (1). Then is looked whether the name still stands for the old one,
   and whether somebody holds it, who was faster: then the successor is taken back. If not, it is renamed over
   the old one.
3. A process that is killed in between leaves a successor. The next one locks that, and goes on with 2.

Only who holds the inode that the name of a successor stands for renames or removes that name. So a name goes
from one inode to the next in the hands of the one that holds the next, and two never hold it. What this
cannot keep is a name that somebody with write access removes or replaces: `is_lost` tells.
"""

import errno
import fcntl
import os
import re
import socket
import stat
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from daemon.errors import DiskError

_MODE = 0o600
_FLOCK = "hhqqi0q"  # struct flock: type, whence, start, length (0: all), process (0, as OFD locks have none)
_MAX_SUCCESSIONS = 8
_HOLDER_BYTES = 200


@dataclass(frozen=True, slots=True)
class ExclusiveLock:
    """A lock that is held.

    Attributes:
        path: The name that others look for it by.
        descriptor: What holds it; a child that inherits it holds it as well.
    """

    path: Path
    descriptor: int

    def is_lost(self) -> bool:
        """Return whether the name stands for another file by now, which another process can lock."""
        return not _stands_for(self.path, self.descriptor)

    def close(self) -> None:
        """Release the lock; it ends when no child has the descriptor any more."""
        os.close(self.descriptor)


def try_lock(path: Path) -> ExclusiveLock | None:
    """Lock a file, without waiting.

    Args:
        path: The file; made if it does not exist.

    Returns:
        The lock; None when somebody else holds it.

    Raises:
        DiskError: The file cannot be opened for writing or cannot be locked.
    """
    try:
        descriptor = _attempt(path, 0)
    except OSError as error:
        raise DiskError(_refusal(path, error)) from error
    if descriptor is None:
        return None
    with suppress(OSError):  # no more than a word for others, and a full disk must not keep prune from it
        os.fchmod(descriptor, _MODE)  # older versions made it for all to read
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode(), 0)
    _remove_successors(path)
    return ExclusiveLock(path, descriptor)


def holder_of(path: Path) -> str:
    """Return who holds a lock, as the holder wrote it to the file: `process 12 on node-7`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return "another process"
    try:
        return os.pread(descriptor, _HOLDER_BYTES, 0).decode(errors="replace").strip() or "another process"
    except OSError:
        return "another process"
    finally:
        os.close(descriptor)


def _attempt(path: Path, successions: int) -> int | None:
    descriptor = _open(path)
    if descriptor is None:
        return _replace(path, successions)
    kept = False
    try:
        if _lock(descriptor):
            # In this order: a successor that is not there any more may have taken the name.
            blocked = os.path.lexists(_successor(path, os.fstat(descriptor).st_ino))
            kept = not blocked and _stands_for(path, descriptor)
        else:
            blocked = _in_the_way(descriptor) == fcntl.F_RDLCK
    finally:
        if not kept:
            os.close(descriptor)
    if kept:
        return descriptor
    return _replace(path, successions) if blocked else None


def _replace(path: Path, successions: int) -> int | None:
    """Rename the successor of a blocked file over it (2)."""
    if successions == _MAX_SUCCESSIONS:
        return None
    try:
        inode = path.lstat().st_ino
    except FileNotFoundError:
        return None
    successor = _successor(path, inode)
    descriptor = _attempt(successor, successions + 1)
    if descriptor is None:
        return None
    kept = False
    try:
        if _inode(path) == inode and not _is_held(path):
            with suppress(FileNotFoundError):
                successor.rename(path)
            kept = _stands_for(path, descriptor)
        if not kept and _stands_for(successor, descriptor):
            successor.unlink(missing_ok=True)
    finally:
        if not kept:
            os.close(descriptor)
    return descriptor if kept else None


def _open(path: Path) -> int | None:
    """Open a file that can be locked; None when a lease keeps it from being opened."""
    try:
        descriptor = os.open(
            path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, _MODE
        )
    except BlockingIOError:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is not a regular file", str(path))
    return descriptor


def _lock(descriptor: int) -> bool:
    try:
        fcntl.fcntl(descriptor, fcntl.F_OFD_SETLK, _request())
    except OSError as error:
        if error.errno in {errno.EAGAIN, errno.EACCES}:
            return False
        raise
    return True


def _in_the_way(descriptor: int) -> int:
    """Return the kind of lock that others have on a file: `F_RDLCK`, `F_WRLCK`, or `F_UNLCK` for none."""
    answer = fcntl.fcntl(descriptor, fcntl.F_OFD_GETLK, _request())
    kind: int = struct.unpack(_FLOCK, answer)[0]
    return kind


def _is_held(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except BlockingIOError:
        return False  # a lease is not given on a file that its holder has open for writing
    except FileNotFoundError:
        return True  # another one makes it
    try:
        return _in_the_way(descriptor) == fcntl.F_WRLCK
    finally:
        os.close(descriptor)


def _request() -> bytes:
    return struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0)


def _stands_for(path: Path, descriptor: int) -> bool:
    try:
        named = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    held = os.fstat(descriptor)
    return (named.st_dev, named.st_ino) == (held.st_dev, held.st_ino)


def _inode(path: Path) -> int | None:
    try:
        return path.lstat().st_ino
    except FileNotFoundError:
        return None


def _successor(path: Path, inode: int) -> Path:
    return path.with_name(f"{path.name}.{inode}")


def _remove_successors(path: Path) -> None:
    """Remove what contenders left that were killed. One that is alive holds its own, and that stays."""
    left = re.compile(rf"{re.escape(path.name)}(\.[0-9]+)+")
    with suppress(OSError):
        for entry in os.scandir(path.parent):
            if left.fullmatch(entry.name):
                with suppress(OSError):
                    _remove_successor(Path(entry.path))


def _remove_successor(path: Path) -> None:
    descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if _lock(descriptor) and _stands_for(path, descriptor):
            path.unlink()
    finally:
        os.close(descriptor)


def _refusal(path: Path, error: OSError) -> str:
    if error.errno in {errno.EINVAL, errno.ELOOP, errno.EISDIR}:
        return f"{path}: is not a regular file, which the lock of the prefix needs there; remove it"
    if error.errno in {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}:
        return (
            f"{path}: cannot be locked: {error.strerror}; "
            "put the prefix on a file system of the node that has locks (fcntl)"
        )
    return f"{path}: cannot be opened for writing and locked: {error.strerror}"
