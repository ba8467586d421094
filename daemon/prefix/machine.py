"""The machine that a prefix is for, such as `x86_64`: wheels and interpreters of one do not run on another.

The file `monobase/.machine` has its name, as uname(2) has it, and a line break. The first writer of a prefix
writes it. For a prefix of an earlier release, the names of its interpreters tell the machine.
"""

import os
import platform
import re

from daemon.errors import ForeignPrefixError
from daemon.host.durability import write_file
from daemon.host.plain_file import read_plain_file
from daemon.host.system_error import is_full_disk
from daemon.prefix.mending import remove_anything
from daemon.prefix.prefix import Prefix

_MACHINE = re.compile(rb"([a-z0-9_]{1,40})\n")
_INTERPRETER = re.compile(r"cpython-[^-]+-linux-(x86_64|aarch64)\b.*")
_MAX_BYTES = 64


def machine_of(prefix: Prefix) -> str | None:
    """Return the machine that a prefix is for; None if nothing tells it."""
    return _recorded(prefix) or _of_interpreters(prefix, platform.machine())


def check_machine(prefix: Prefix) -> None:
    """Refuse a prefix that another machine has filled.

    Args:
        prefix: The prefix; it may not exist yet.

    Raises:
        ForeignPrefixError: It is for another machine.
    """
    own, machine = platform.machine(), machine_of(prefix)
    if machine is not None and machine != own:
        raise ForeignPrefixError(
            f"{prefix.root}: is a prefix for {machine}, and this machine is {own}: what is installed there "
            f"cannot run here; name a directory of this node with --prefix"
        )


def claim_machine(prefix: Prefix) -> None:
    """Record that a prefix is for this machine, if the disk has room; only the writer of the prefix may.

    Args:
        prefix: The prefix; its folders exist.

    Raises:
        ForeignPrefixError: It is for another machine.
    """
    check_machine(prefix)
    if _recorded(prefix) is None:
        if prefix.machine_file.is_dir():
            remove_anything(prefix.machine_file)
        try:
            write_file(prefix.machine_file, f"{platform.machine()}\n".encode())
        except OSError as error:
            # Whoever makes room must not be kept from it; the next writer records it.
            if not is_full_disk(error):
                raise


def _recorded(prefix: Prefix) -> str | None:
    """Return what the file says; None if it is missing or damaged: then the interpreters tell."""
    try:
        found = _MACHINE.fullmatch(read_plain_file(prefix.machine_file, _MAX_BYTES))
    except OSError:
        return None
    return None if found is None else found[1].decode()


def _of_interpreters(prefix: Prefix, own: str) -> str | None:
    """Return the machine of the installed interpreters; this one if it is among them."""
    try:
        names = os.listdir(prefix.uv_python)  # noqa: PTH208 (names)
    except OSError:
        return None
    machines = {found[1] for name in names if (found := _INTERPRETER.fullmatch(name))}
    return own if own in machines else min(machines, default=None)
