"""Remembers the digests of manifests while the files do not change.

A node with a thousand environments has a thousand manifests, which each round of the daemon and each probe
compare with the marks. Reading them costs seconds, looking at their inodes some milliseconds.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from daemon.prefix.line_file import file_and_text_digest
from daemon.prefix.manifest import MANIFEST_KIND

# A change right after a reading, in the same tick of the file system's clock, leaves the times of the file as
# they are. So a file is read a second time, this much later, before its times are trusted.
_SETTLED_AFTER_S = 2.0
_MAX_MANIFESTS = 20_000

Digests = tuple[str, str]  # SHA-256 of the file, and of its text
_Identity = tuple[int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class _Reading:
    """A reading.

    Attributes:
        identity: Identity of the file, before and after it.
        digests: What it found.
        first_s: Time of the first reading with this identity, by a monotonic clock.
        is_settled: Whether the file was read again when it had had this identity for long enough.
    """

    identity: _Identity
    digests: Digests
    first_s: float
    is_settled: bool


class ManifestMemory:
    """The manifests that were read, with the identity of each file; several threads may use it.

    Args:
        settled_after_s: How long a file keeps its identity before a reading of it is trusted.
    """

    def __init__(self, settled_after_s: float = _SETTLED_AFTER_S) -> None:
        self._settled_after_s = settled_after_s
        self._readings: dict[str, _Reading] = {}

    def digests(self, path: Path | str) -> Digests:
        """Return the digests of a manifest; read it if it may have changed.

        Args:
            path: The manifest; as a string, it takes half as long.

        Raises:
            NewerFormatError: A newer release has written it.
            OSError: It cannot be read.
        """
        path = os.fspath(path)
        identity = _identity(path)
        known = self._readings.get(path)
        if known is not None and known.identity != identity:
            known = None
        if known is not None and known.is_settled:
            return known.digests
        now_s = time.monotonic()
        first_s = now_s if known is None else known.first_s
        digests = manifest_digests(Path(path))
        if _identity(path) == identity:
            if len(self._readings) >= _MAX_MANIFESTS:
                self._readings.clear()  # those of generations that were pruned are among them
            settled = now_s - first_s >= self._settled_after_s
            self._readings[path] = _Reading(identity, digests, first_s, settled)
        return digests


def manifest_digests(path: Path | str) -> Digests:
    """Read a manifest for its digests, whether or not it is damaged.

    Raises:
        NewerFormatError: A newer release has written it.
        OSError: It cannot be read.
    """
    return file_and_text_digest(Path(path), MANIFEST_KIND)


def _identity(path: str) -> _Identity:
    status = os.stat(path)  # noqa: PTH116 (there are many)
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
