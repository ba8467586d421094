"""Copies, compares and digests the content of a file."""

import hashlib
import os
import stat
import threading
from pathlib import Path

_CHUNK_BYTES = 1 << 20
_BUFFER_BYTES = 1 << 18  # fits into the cache of a core


class _Buffer(threading.local):
    """The buffer of a thread: a new one for each small file would cost more than its digest."""

    def __init__(self) -> None:
        self.view = memoryview(bytearray(_BUFFER_BYTES))


_buffer = _Buffer()


def copy_file(source: str | Path, target: str | Path) -> None:
    """Copy content and mode of a file to a name that does not exist yet, and sync it: it may be shared."""
    with open(source, "rb") as reader, open(target, "xb") as writer:  # noqa: PTH123 (there are many)
        while chunk := reader.read(_CHUNK_BYTES):
            writer.write(chunk)
        os.fchmod(writer.fileno(), stat.S_IMODE(os.fstat(reader.fileno()).st_mode))
        writer.flush()
        os.fsync(writer.fileno())


def same_content(first: str | Path, second: str | Path) -> bool:
    """Compare two files byte for byte."""
    with open(first, "rb") as one, open(second, "rb") as other:  # noqa: PTH123 (there are many)
        if os.fstat(one.fileno()).st_size != os.fstat(other.fileno()).st_size:
            return False
        while True:
            chunk = one.read(_CHUNK_BYTES)
            if chunk != other.read(_CHUNK_BYTES):
                return False
            if not chunk:
                return True


def file_sha256(path: str | Path) -> str:
    """Digest a file, as 64 hex digits, without holding more than a chunk of it."""
    digest = hashlib.sha256()
    view = _buffer.view
    with open(path, "rb", buffering=0) as file:  # noqa: PTH123 (there are many)
        while count := file.readinto(view):
            digest.update(view[:count])
    return digest.hexdigest()
