"""Keeps the output of uv's downloads on the prefix until their wheels were examined.

uv leaves out a member of a wheel whose name leaves the wheel's folder, and only prints a warning. If the
daemon were killed before it read that, the archive in the cache would look like any other. So uv writes to a
file, which the next run reads.
"""

import mmap
import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from daemon.prefix.prefix import Prefix
from gens.lock import LockedWheel

_BEGIN = b"wheels "
_UNSAFE = re.compile(rb"Skipping unsafe file name: (?P<path>[^\n]{0,500})")


@dataclass(frozen=True, slots=True)
class CallLog:
    """The output of one call so far.

    Attributes:
        wheels: Digests of the wheels that the call was to download.
        unsafe: Names of members that uv left out.
    """

    wheels: frozenset[str]
    unsafe: tuple[str, ...]


def begin_log(prefix: Prefix, wheels: Iterable[LockedWheel]) -> Path:
    """Make the file for the output of one call.

    Args:
        prefix: The prefix.
        wheels: The wheels that the call is to download.

    Returns:
        Its path: uv appends to it.
    """
    directory = _directory(prefix)
    directory.mkdir(exist_ok=True)
    directory.chmod(0o700)  # no model may read uv's output
    path = directory / secrets.token_hex(8)
    path.touch(0o600, exist_ok=False)
    path.write_bytes(_BEGIN + " ".join(wheel.sha256 for wheel in wheels).encode() + b"\n")
    return path


def read_log(path: Path) -> CallLog:
    """Read the output of one call; a power loss may have emptied the file."""
    if not path.stat().st_size:
        return CallLog(frozenset(), ())
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        first = content.readline()
        wheels = first.removeprefix(_BEGIN).decode(errors="replace").split() if first.endswith(b"\n") else []
        unsafe = [found["path"].decode(errors="replace").strip() for found in _UNSAFE.finditer(content)]
    return CallLog(frozenset(wheels), tuple(unsafe))


def trusted_wheels(prefix: Prefix) -> frozenset[str]:
    """Return the digests of the wheels in all logs that report no member left out."""
    logs = [read_log(path) for path in _paths(prefix)]
    return frozenset(sha256 for log in logs if not log.unsafe for sha256 in log.wheels)


def remove_logs(prefix: Prefix) -> None:
    """Remove all logs: their wheels were examined, or are no longer wanted."""
    for path in _paths(prefix):
        path.unlink(missing_ok=True)


def _paths(prefix: Prefix) -> list[Path]:
    directory = _directory(prefix)
    return [path for path in directory.iterdir() if path.is_file()] if directory.is_dir() else []


def _directory(prefix: Prefix) -> Path:
    return prefix.uv_cache.parent / "calls"
