"""What uv says while it brings wheels, kept on the prefix until what came was examined.

uv leaves out a member of a wheel whose name leaves the wheel's folder, and only says so. Were we killed
before we read that, the archive in the cache would look like any other. So uv writes into a file, which the
next run reads.
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
    """What one call has said so far.

    Attributes:
        wheels: Digests of the wheels that it was to bring.
        unsafe: Names of members that it left out.
    """

    wheels: frozenset[str]
    unsafe: tuple[str, ...]


def begin_log(prefix: Prefix, wheels: Iterable[LockedWheel]) -> Path:
    """Make the file for what one call says.

    Args:
        prefix: The prefix.
        wheels: What the call is to bring.

    Returns:
        Its path, to be appended to.
    """
    directory = _directory(prefix)
    directory.mkdir(exist_ok=True)
    directory.chmod(0o700)  # what uv says is for no model to read
    path = directory / secrets.token_hex(8)
    path.touch(0o600, exist_ok=False)
    path.write_bytes(_BEGIN + " ".join(wheel.sha256 for wheel in wheels).encode() + b"\n")
    return path


def read_log(path: Path) -> CallLog:
    """Read what one call has said; of one that the power was lost to, nothing."""
    if not path.stat().st_size:
        return CallLog(frozenset(), ())
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        first = content.readline()
        wheels = first.removeprefix(_BEGIN).decode(errors="replace").split() if first.endswith(b"\n") else []
        unsafe = [found["path"].decode(errors="replace").strip() for found in _UNSAFE.finditer(content)]
    return CallLog(frozenset(wheels), tuple(unsafe))


def trusted_wheels(prefix: Prefix) -> frozenset[str]:
    """Give the digests of wheels that calls whose logs are left were to bring, and left nothing out of."""
    logs = [read_log(path) for path in _paths(prefix)]
    return frozenset(sha256 for log in logs if not log.unsafe for sha256 in log.wheels)


def remove_logs(prefix: Prefix) -> None:
    """Remove all of them: what came was examined, or is no longer wanted."""
    for path in _paths(prefix):
        path.unlink(missing_ok=True)


def _paths(prefix: Prefix) -> list[Path]:
    directory = _directory(prefix)
    return [path for path in directory.iterdir() if path.is_file()] if directory.is_dir() else []


def _directory(prefix: Prefix) -> Path:
    return prefix.uv_cache.parent / "calls"
