"""An archive of a mirror (a tar) as a source; it is read in place, not unpacked."""

import hashlib
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from gens.mirror_shape import INTERPRETERS_INDEX, InterpreterConfig, parse_interpreters_index
from tools.mirror.errors import AbsentError, SourceError
from tools.mirror.folder_source import read_blocks
from tools.mirror.source import Stream
from tools.mirror.wanted import Item


class ArchiveSource:
    """A tar that `//tools:mirror` wrote."""

    def __init__(self, path: Path) -> None:
        """Read the members of a tar.

        Args:
            path: The tar.

        Raises:
            SourceError: It is not an uncompressed tar, or cut off.
        """
        self.name = str(path)
        self._path = path
        try:
            with tarfile.open(path, "r:") as tar:
                self._members = {
                    member.name: (member.offset_data, member.size)
                    for member in tar.getmembers()
                    if member.isfile() and not member.issparse()
                }
        except OSError as error:
            raise SourceError(
                f"{path}: cannot be read: {error.strerror}; name an archive of a mirror"
            ) from error
        except tarfile.TarError as error:
            raise SourceError(f"{path}: is not an archive of a mirror: {error}; copy it again") from error

    def size_fault(self, item: Item) -> str | None:
        """Return what is wrong with the size of a file; None if it is right."""
        found = self._members.get(item.path)
        if found is None:
            return "is missing"
        size = found[1]
        return None if size == item.size_bytes else f"is damaged: it has {size:,} bytes"

    def locate(self, item: Item) -> None:
        """Check that the archive has a file of this name and size."""
        found = self._members.get(item.path)
        if found is None:
            raise AbsentError(f"{self.name}: has no {item.path}")
        if found[1] != item.size_bytes:
            raise AbsentError(
                f"{self.name}: {item.path} has {found[1]} bytes, the lock names {item.size_bytes}"
            )

    @contextmanager
    def open(self, item: Item, start: int) -> Iterator[Stream]:
        """Read a file from an offset on."""
        self.locate(item)
        offset, size = self._members[item.path]
        try:
            with self._path.open("rb") as file:
                file.seek(offset + start)
                yield Stream(start, read_blocks(file, self._path, size - start))
        except OSError as error:
            raise SourceError(f"{self._path}: cannot be read: {error.strerror}") from error

    def local_path(self, item: Item) -> Path | None:
        """Return None: the file is a part of the archive."""
        self.locate(item)
        return None

    def interpreters(self) -> Mapping[str, InterpreterConfig]:
        """Return the interpreters of the archive."""
        content = self.read(INTERPRETERS_INDEX)
        return (
            {} if content is None else parse_interpreters_index(content, f"{self.name}:{INTERPRETERS_INDEX}")
        )

    def read(self, name: str) -> bytes | None:
        """Return the content of a small member; None if there is none of this name."""
        found = self._members.get(name)
        if found is None:
            return None
        try:
            with self._path.open("rb") as file:
                file.seek(found[0])
                return file.read(found[1])
        except OSError as error:
            raise SourceError(f"{self._path}: cannot be read: {error.strerror}") from error

    def digest(self, name: str) -> str | None:
        """Return the SHA-256 of a member; None if there is none of this name."""
        found = self._members.get(name)
        if found is None:
            return None
        hasher = hashlib.sha256()
        try:
            with self._path.open("rb") as file:
                file.seek(found[0])
                for block in read_blocks(file, self._path, found[1]):
                    hasher.update(block)
        except OSError as error:
            raise SourceError(f"{self._path}: cannot be read: {error.strerror}") from error
        return hasher.hexdigest()

    def names(self) -> frozenset[str]:
        """Return the names of all members."""
        return frozenset(self._members)
