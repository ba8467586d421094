"""Demand: a model shows that it waits for an environment or toolkit, without writing anything.

`monobase/.demand/g00003/NAME` is an empty file for each target that the daemon could install. A model that
waits for it holds a shared flock(2) on it, which needs no write access, so it works on a read-only mount of
the same node and ends with the process. What is not selected, or installed already, has no file.

No process with read-only access can do more than ask: it can hold any lock for any time, which asks for that
target; it can set a lease (fcntl(2), `F_SETLEASE`), which keeps the file from being opened and asks for
nothing. Only the holder of the service lock makes and removes these files. It never waits for one.
"""

import fcntl
import os
import stat
from collections.abc import Mapping, Set
from contextlib import suppress
from pathlib import Path

from daemon.host.modes import FILE_MODE
from daemon.prefix.mending import make_real_folder, remove_anything
from daemon.prefix.prefix import Prefix, is_generation_name

_FOLDER = ".demand"


def offer(prefix: Prefix, names: Mapping[str, Set[str]]) -> None:
    """Make the files by which models ask for some targets, and remove all others.

    A file that exists stays: a model may hold its lock since before this daemon began.

    Args:
        prefix: The prefix; its folders exist.
        names: Names of environments and toolkits, by name of the generation.

    Raises:
        OSError: The files cannot be made.
    """
    top = prefix.generations / _FOLDER
    make_real_folder(top)
    for name in set(_names(top)) - names.keys():
        remove_anything(top / name)
    for generation, wanted in names.items():
        directory = top / generation
        make_real_folder(directory)
        found = set(_names(directory))
        for name in found - wanted:
            remove_anything(directory / name)
        for name in wanted:
            if name not in found or not _is_file(directory / name):
                remove_anything(directory / name)
                _make_file(directory / name)


def asked(prefix: Prefix) -> list[tuple[str, str]]:
    """Return the targets that a model asks for now, by names of the generation and the target, sorted.

    Only one thread of the one daemon may look: it holds an exclusive lock for a moment, and another look at
    that moment would take it for a request.
    """
    top = prefix.generations / _FOLDER
    return [
        (generation, name)
        for generation in _names(top)
        if is_generation_name(generation)
        for name in _names(top / generation)
        if _is_locked(f"{top}/{generation}/{name}")  # strings: there may be a thousand, twice a second
    ]


def _is_locked(path: str) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:  # it has just been removed, or a lease keeps it
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # a file system without flock(2): nobody can ask
        return False
    finally:
        os.close(descriptor)
    return False


def _make_file(path: Path) -> None:
    flags = os.O_RDONLY | os.O_CREAT | os.O_EXCL | os.O_NONBLOCK | os.O_CLOEXEC
    with suppress(BlockingIOError):  # it was made, and a model has set a lease before it was opened
        os.close(os.open(path, flags, FILE_MODE))
    path.chmod(FILE_MODE)


def _names(directory: Path) -> list[str]:
    with suppress(OSError):
        return sorted(os.listdir(directory))  # noqa: PTH208 (names are wanted)
    return []


def _is_file(path: Path) -> bool:
    try:
        return stat.S_ISREG(path.lstat().st_mode)
    except OSError:
        return False
