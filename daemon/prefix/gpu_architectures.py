"""The GPU architectures of Torch wheels, as the installer read them from the wheel's library.

Format of `wheels/WHEEL-SHA256.architectures.gz`: a file of lines (`daemon/prefix/line_file.py`), the first of
which is `monobase-architectures 1`; then one architecture per line in Torch's order, such as `sm_90`; none
for a build without GPU code. Earlier releases wrote no such file: without one, nothing is known of a wheel.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from daemon.errors import DamageError
from daemon.host.durability import write_file
from daemon.prefix.line_file import format_lines, read_lines
from daemon.prefix.manifest import MANIFEST_NAME, read_manifest
from daemon.prefix.mending import remove_anything
from daemon.prefix.prefix import Prefix
from gens.errors import MonobaseError

_KIND = "architectures"
_RECORD = re.compile(r"(?P<wheel>[0-9a-f]{64})\.architectures\.gz")
_NAME = re.compile(r"(sm|compute)_[0-9]{2,4}[a-z]?")
_TREES = (
    4096  # a list is rewritten whenever a tree is published: manifests that have not changed are not reread
)


def architectures_path(prefix: Prefix, wheel_sha256: str) -> Path:
    """Return the path of the record of a Torch wheel."""
    return prefix.wheels / f"{wheel_sha256}.{_KIND}.gz"


def of_architectures(name: str) -> str | None:
    """Return the digest of the wheel that a record is of, by the name of its file; None for another file."""
    found = _RECORD.fullmatch(name)
    return None if found is None else found["wheel"]


def keep_architectures(prefix: Prefix, wheel_sha256: str, architectures: Sequence[str]) -> None:
    """Record the GPU architectures of a Torch wheel, in place of any other record of it.

    Args:
        prefix: The prefix.
        wheel_sha256: Digest of the wheel.
        architectures: Such as `sm_90`; none for a build without GPU code.
    """
    path = architectures_path(prefix, wheel_sha256)
    if path.is_dir():
        remove_anything(path)
    write_file(path, format_lines(_KIND, architectures))


def read_architectures(prefix: Prefix, wheel_sha256: str) -> tuple[str, ...] | None:
    """Read the record of a Torch wheel.

    Returns:
        Its GPU architectures; None if there is no record of the wheel.

    Raises:
        DamageError: The file is malformed.
        NewerFormatError: A newer release has written it.
    """
    path = architectures_path(prefix, wheel_sha256)
    try:
        names = read_lines(path, _KIND)
    except FileNotFoundError:
        return None
    wrong = next((name for name in names if _NAME.fullmatch(name) is None), None)
    if wrong is not None:
        raise DamageError(f"{path}: is damaged: malformed line {wrong!r}; `verify --repair` rebuilds it")
    return tuple(names)


def known_architectures(prefix: Prefix) -> dict[str, tuple[str, ...]]:
    """Return the GPU architectures of all recorded Torch wheels, by digest of the wheel.

    Records that cannot be read are left out: the check that reports damage reads them as well.
    """
    known = {}
    for path in prefix.wheels.glob(f"*.{_KIND}.gz"):
        with suppress(MonobaseError):
            if (digest := of_architectures(path.name)) is not None:
                known[digest] = read_architectures(prefix, digest) or ()
    return known


def architectures_of(tree: Path, known: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Return the GPU architectures of the Torch in an environment.

    Args:
        tree: The environment, which need not exist.
        known: The architectures of Torch wheels by digest.

    Returns:
        The architectures; none if the environment has no Torch, or nothing is known of it.
    """
    manifest = tree / MANIFEST_NAME
    try:
        status = manifest.stat()
        digests = _wheel_digests(manifest, status.st_ino, status.st_mtime_ns)
    except (OSError, MonobaseError):
        return ()
    return next((known[digest] for digest in digests if digest in known), ())


@lru_cache(maxsize=_TREES)
def _wheel_digests(manifest: Path, inode: int, changed_ns: int) -> tuple[str, ...]:  # noqa: ARG001 (the key)
    return tuple(part.wheel_sha256 for part in read_manifest(manifest).wheels)
