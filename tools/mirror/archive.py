"""An archive as a mirror: one uncompressed tar of the tree, to carry over an air gap, and its checksum.

The tar is written once, straight from the sources: interpreters, wheels (the largest first), then the lists,
pages and configs. The same locks give the same bytes. While it is written it is `FILE.tar.partial`; a later
run goes on behind its last right byte. `FILE.tar.sha256` is in the format of `sha256sum`.
"""

import hashlib
import os
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from gens.errors import MirrorError
from gens.mirror_shape import (
    FILES,
    INTERPRETERS_INDEX,
    PAGE,
    SIMPLE,
    InterpreterConfig,
    LockConfig,
    artifact_path,
    format_interpreters_index,
    format_lock_config,
    project_path,
)
from tools.mirror.archive_source import ArchiveSource
from tools.mirror.blob_part import BlobPart
from tools.mirror.destination import Published, Removed, Way
from tools.mirror.durable_file import locked_file, publish, write_if_changed
from tools.mirror.errors import DiskError, IncompleteError, LackingError, SourceError, disk_error
from tools.mirror.interpreters import Download, item_of
from tools.mirror.pages import project_page, root_page
from tools.mirror.receive import Supply
from tools.mirror.tree import demand_free
from tools.mirror.wanted import Item, Wanted

_BLOCK_BYTES = 512
_MODE = 0o644


class ArchiveMirror:
    """A tar that is a mirror; it is written by one thread."""

    def __init__(self, path: Path, say: Callable[[str], None], *, verify: bool | None = None) -> None:
        """Read the members of the tar if it exists.

        Args:
            path: The tar.
            say: Prints a line.
            verify: Whether its files are read and compared before they count as there; if False, a check
                compares their sizes only.

        Raises:
            SourceError: It exists and is not a tar.
        """
        self.name = str(path)
        self.path = path
        self.existing = _existing(path) if path.exists() else None
        self._say = say
        self._verify = verify
        self._partial = path.with_name(f"{path.name}.partial")
        self._checksum = path.with_name(f"{path.name}.sha256")
        self._file: IO[bytes] | None = None
        self._end = 0  # of the right members in the partial file
        self._is_current = False
        self._sent: list[Item] = []

    @contextmanager
    def written(self) -> Iterator[None]:
        """Acquire the lock of the archive, which another process may have; wait for it."""
        wait = f"{self._partial}: another mirror writes it; waiting"
        with locked_file(self._partial, lambda: self._say(wait)) as self._file:
            try:
                yield
            finally:
                if self._is_current or self._is_empty():
                    self._partial.unlink(missing_ok=True)

    def interpreters(self) -> Mapping[str, InterpreterConfig]:
        """Return the interpreters of an archive that is kept as it is."""
        return self.existing.interpreters() if self._is_current and self.existing else {}

    def prepare(self, wanted: Wanted, downloads: Mapping[str, Download], supply: Supply) -> None:
        """Decide whether the archive is written, and refuse to begin one that would lack something."""
        self._is_current = self._is_complete(wanted, downloads) and self._is_whole(wanted, downloads)
        if self._is_current:
            return
        failures = []
        for item in wanted.items:
            try:
                supply.locate(item)
            except LackingError as error:
                failures.append(str(error))
        if failures:
            raise IncompleteError(
                "\n  ".join([f"{self.path}: not written, as {len(failures)} files cannot be had:", *failures])
            )
        try:
            kept = self._partial.stat().st_size
        except OSError as error:
            raise disk_error(error, self._partial) from error
        demand_free(self.path.absolute().parent, wanted.size_bytes - kept)

    def send(self, item: Item, supply: Supply) -> Way:
        """Append a file, unless the partial archive has it there."""
        if self._is_current:
            supply.advance(item.size_bytes)
            return "kept"
        file = self._open_file()
        base = self._begin(item.path, item.size_bytes)
        try:
            part = BlobPart(file, self._partial, base, item.size_bytes)
            supply.advance(part.received_bytes)
            kept = part.received_bytes == item.size_bytes and part.sha256 == item.sha256
            if not kept:
                part.cut()
                supply.receive(item, part)
        except LackingError as error:
            raise IncompleteError(
                f"{self.path}: not written: {error}; what was received is kept for the next run"
            ) from error
        self._finish(base + item.size_bytes)
        self._sent.append(item)
        return "kept" if kept else "sent"

    def publish(
        self, configs: Iterable[LockConfig], interpreters: Mapping[str, InterpreterConfig]
    ) -> Published:
        """Write lists, pages and configs, and give the archive its name."""
        tags = tuple(config.tag for config in configs)
        if self._is_current:
            self._write_checksum()
            return Published(kept=tags)
        file = self._open_file()
        for path, content in sorted(self._small(configs, interpreters).items()):
            base = self._begin(path, len(content))
            self._write(base, content)
            self._finish(base + len(content))
        end = self._end + 2 * _BLOCK_BYTES
        self._write(self._end, b"\0" * (-end % tarfile.RECORDSIZE + 2 * _BLOCK_BYTES))
        try:
            file.flush()
            os.fsync(file.fileno())
        except OSError as error:
            raise disk_error(error, self._partial) from error
        publish(self._partial, self.path)
        self._write_checksum()
        return Published(tags)

    def fault(self, item: Item) -> str | None:
        """Read a member, and return what is wrong with it; None if it is right."""
        if self.existing is None:
            return "is missing"
        if self._verify is False:
            return self.existing.size_fault(item)
        found = self.existing.digest(item.path)
        if found is None:
            return "is missing"
        return None if found == item.sha256 else f"is damaged: its digest is sha256:{found}"

    def unnamed(self, configs: Iterable[LockConfig]) -> list[str]:
        """Return the tags of the locks whose config the archive lacks."""
        return [
            config.tag
            for config in configs
            if self.existing is None
            or self.existing.read(artifact_path(config.tag)) != format_lock_config(config)
        ]

    def defects(self) -> list[str]:
        """Compare the archive with its checksum file."""
        if self.existing is None or self._verify is False:
            return []
        try:
            words = self._checksum.read_text(encoding="ascii").split()
        except OSError as error:
            return [f"{self._checksum}: cannot be read: {error.strerror}"]
        except UnicodeDecodeError:
            words = []
        found = _digest(self.path)
        return [] if words[:1] == [found] else [f"{self.path}: its digest is {found}, not that of the file"]

    def prune(
        self,
        configs: Iterable[LockConfig],  # noqa: ARG002 (of the protocol)
        items: Iterable[Item],  # noqa: ARG002 (of the protocol)
        interpreters: Mapping[str, InterpreterConfig] | None,  # noqa: ARG002 (of the protocol)
        *,
        dry_run: bool,  # noqa: ARG002 (of the protocol)
    ) -> Removed:
        """Do nothing: an archive never has more than what is named."""
        return Removed()

    def _is_empty(self) -> bool:
        try:
            return self._partial.stat().st_size == 0
        except OSError:
            return False

    def _is_whole(self, wanted: Wanted, downloads: Mapping[str, Download]) -> bool:
        """Return whether the archive is what its checksum says, or what the locks say."""
        if not self._verify and not self.defects():
            return True
        present = self.interpreters_of_existing()
        items = [*wanted.items, *(item_of(present[key]) for key in downloads)]
        return all(self.fault(item) is None for item in items)

    def interpreters_of_existing(self) -> Mapping[str, InterpreterConfig]:
        """Return the interpreters of the archive that exists, by their keys; none if it has no right list."""
        try:
            return {} if self.existing is None else self.existing.interpreters()
        except MirrorError:
            return {}

    def _is_complete(self, wanted: Wanted, downloads: Mapping[str, Download]) -> bool:
        if self.existing is None or self.unnamed(wanted.configs):
            return False
        present = self.interpreters_of_existing()
        wheels = {name for name in self.existing.names() if name.startswith(f"{FILES}/")}
        return wheels == {item.path for item in wanted.items} and all(
            key in present and present[key].path == download.path for key, download in downloads.items()
        )

    def _small(
        self, configs: Iterable[LockConfig], interpreters: Mapping[str, InterpreterConfig]
    ) -> dict[str, bytes]:
        projects: dict[str, list[tuple[str, str]]] = {}
        for item in self._sent:
            if item.project:
                projects.setdefault(item.project, []).append((item.sha256, item.filename))
        small = {project_path(name): project_page(name, files) for name, files in projects.items()}
        small[f"{SIMPLE}/{PAGE}"] = root_page(projects)
        if interpreters:
            small[INTERPRETERS_INDEX] = format_interpreters_index(interpreters.values())
        return small | {artifact_path(config.tag): format_lock_config(config) for config in configs}

    def _begin(self, path: str, size_bytes: int) -> int:
        """Write a member's header unless it is there; return the offset of its first byte."""
        header = _header(path, size_bytes)
        file = self._open_file()
        try:
            file.seek(self._end)
            found = file.read(len(header))
        except OSError as error:
            raise disk_error(error, self._partial) from error
        if found != header:
            self._write(self._end, header)
        return self._end + len(header)

    def _write(self, offset: int, content: bytes) -> None:
        """Write at an offset, and drop what was behind it."""
        file = self._open_file()
        try:
            file.seek(offset)
            file.truncate()
            file.write(content)
            file.flush()
        except OSError as error:
            raise disk_error(error, self._partial) from error

    def _finish(self, end: int) -> None:
        """Fill a member up to whole blocks."""
        file = self._open_file()
        padding = b"\0" * (-end % _BLOCK_BYTES)
        self._end = end + len(padding)
        try:
            file.flush()
            file.seek(end)
            if file.read(len(padding)) != padding:
                self._write(end, padding)
        except OSError as error:
            raise disk_error(error, self._partial) from error

    def _open_file(self) -> IO[bytes]:
        if self._file is None:
            raise DiskError(f"{self._partial}: is not open")
        return self._file

    def _write_checksum(self) -> None:
        write_if_changed(self._checksum, f"{_digest(self.path)}  {self.path.name}\n".encode())


def _existing(path: Path) -> ArchiveSource:
    try:
        return ArchiveSource(path)
    except SourceError as error:
        text = str(error).partition(";")[0]
        raise SourceError(f"{text}; copy it again, or remove it and mirror again") from error


def _header(path: str, size_bytes: int) -> bytes:
    info = tarfile.TarInfo(path)
    info.size = size_bytes
    info.mode = _MODE
    return info.tobuf(tarfile.PAX_FORMAT)


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise disk_error(error, path) from error
