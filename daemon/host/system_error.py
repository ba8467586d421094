"""Translates errors of the system into errors of ours, with advice and a documented exit code."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from daemon.errors import DiskError, MachineError
from gens.errors import MonobaseError

_FULL = (errno.ENOSPC, errno.EDQUOT)
_MACHINE = {
    errno.ENOMEM: "give this process more memory (in Kubernetes: its limit), or less to do with --jobs",
    errno.EMFILE: "raise the limit of open files of this process (ulimit -n), or lower --jobs",
    errno.ENFILE: "close files of other processes, or raise the machine's fs.file-max",
    errno.EAGAIN: "raise the limit of processes and threads (ulimit -u, pids.max), or lower --jobs",
    errno.ENOBUFS: "give the machine more memory",
}
_DISK = {
    errno.EROFS: "the prefix must be on a writable mount",
    errno.EACCES: "the prefix must belong to the user that writes to it",
    errno.EPERM: "the prefix must be on a file system that lets its owner do this",
    errno.EIO: "the disk fails: look at the kernel's log",
    errno.ESTALE: "the file system of the prefix went away and came back: mount it again, and start again",
    errno.ENOTCONN: "the file system of the prefix went away: mount it again, and start again",
    errno.EXDEV: "the whole prefix must be on one mount, and not on an overlay over another one",
    errno.ENOLCK: "the file system of the prefix has no locks to give: use one of the node itself",
    errno.ENOTSUP: "the file system of the prefix cannot do this: use another one",
    errno.ENOSYS: "the file system of the prefix cannot do this: use another one",
    errno.ENAMETOOLONG: "use a prefix with a shorter path",
    errno.EFBIG: "the file system of the prefix, or a limit (ulimit -f), allows no file of that size",
    errno.ETXTBSY: "end the process that runs it",
    errno.EBUSY: "something is mounted there, or holds it: end or unmount that",
    errno.EUCLEAN: "the file system is damaged: check it",
    errno.ETIMEDOUT: "the disk or its server does not answer",
}
_SAME_FOR_ALL = (
    errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.EDQUOT, errno.EIO, errno.ENOLCK,
    errno.ESTALE, errno.EUCLEAN,
)  # fmt: skip
_NUMBER = re.compile(r"\(os error ([0-9]+)\)")
_IN_THE_WAY = (
    errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENOENT, errno.ENXIO,
)  # fmt: skip


def is_full_disk(error: OSError) -> bool:
    """Return whether an error says that the disk, or the quota on it, has no room."""
    return error.errno in _FULL


def explain(error: BaseException, root: Path) -> MonobaseError | None:
    """Return the error of ours for an error of the system.

    Args:
        error: What was raised.
        root: The prefix, for messages that need figures or a path.

    Returns:
        The error, to be raised; None when it is not a refusal of the system but a fault of ours.
    """
    if isinstance(error, MemoryError):
        return MachineError(f"{os.strerror(errno.ENOMEM)}; {_MACHINE[errno.ENOMEM]}")
    if isinstance(error, RuntimeError) and str(error) == "can't start new thread":
        return MachineError(f"a thread cannot be started; {_MACHINE[errno.EAGAIN]}")
    if not isinstance(error, OSError) or error.errno is None:
        return None
    return explain_number(error.errno, error.filename2 or error.filename or root, root)


def explain_number(number: int, place: object, root: Path) -> MonobaseError | None:
    """Return the error of ours for a number of errno(3).

    Args:
        number: The number.
        place: The path that it is about.
        root: The prefix.

    Returns:
        The error, to be raised; None when the number alone says nothing to a person.
    """
    said = os.strerror(number)
    if number in _FULL:
        return DiskError(
            full_disk_message(root, "the disk quota is used up" if number == errno.EDQUOT else "")
        )
    if number in _MACHINE:
        return MachineError(f"{said}; {_MACHINE[number]}")
    if number in _DISK:
        return DiskError(f"{place}: {said}; {_DISK[number]}")
    if number in _IN_THE_WAY:
        return DiskError(f"{place}: {said}; look at what is there: the prefix belongs to monobase alone")
    return None


def explain_text(said: str, root: Path) -> MonobaseError | None:
    """Return the error of ours for a program's message with `(os error 24)`, as programs in Rust print it.

    Args:
        said: What it said.
        root: The prefix.

    Returns:
        The error; None when it names none that means the same whatever the program did.
    """
    for number in _NUMBER.findall(said):
        if int(number) in _SAME_FOR_ALL:
            return explain_number(int(number), root, root)
    return None


@contextmanager
def system_errors(root: Path) -> Iterator[None]:
    """Raise an error of ours, with path and advice, instead of a bare OSError.

    Args:
        root: The prefix, for messages that need figures or a path.
    """
    try:
        yield
    except (OSError, MemoryError, RuntimeError) as error:
        told = explain(error, root)
        if told is None:
            raise
        raise told from error


def full_disk_message(root: Path, what: str = "") -> str:
    """Return the message about a full disk, with the room that there is.

    Args:
        root: The prefix.
        what: What is used up; the disk when empty.
    """
    what = what or "no space left on the disk"
    try:
        room = os.statvfs(root)
    except OSError:
        return f"{root}: {what}"
    # Asked after uv has removed what it had half unpacked, so there may be much.
    free = f"{room.f_bavail * room.f_frsize:,} bytes of {room.f_blocks * room.f_frsize:,}"
    if room.f_files:  # 0 where inodes are made as needed
        free += f" and {room.f_favail:,} inodes of {room.f_files:,}"
    return (
        f"{root}: {what} ({free} are free now); "
        "make room and run the same command again, it goes on where it ended"
    )
