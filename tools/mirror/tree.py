"""A folder as a mirror: the tree of `gens/mirror_shape.py`, for a web server, a bucket, NFS or a disk."""

import hashlib
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from packaging.utils import InvalidWheelFilename, parse_wheel_filename

from gens.mirror_shape import (
    ARTIFACTS,
    FILES,
    INTERPRETERS,
    INTERPRETERS_INDEX,
    PAGE,
    SIMPLE,
    InterpreterConfig,
    LockConfig,
    artifact_path,
    format_interpreters_index,
    format_lock_config,
    interpreter_path,
    parse_interpreters_index,
    project_path,
)
from tools.mirror.destination import Published, Removed, Way
from tools.mirror.durable_file import locked_file, make_directory, write_if_changed
from tools.mirror.errors import DiskError, disk_error
from tools.mirror.interpreters import Download
from tools.mirror.pages import is_own_page, project_page, root_page
from tools.mirror.receive import Supply
from tools.mirror.regular_file import open_regular, read_regular
from tools.mirror.spool import Spool
from tools.mirror.wanted import Item, Wanted

PARTIAL = ".partial"
_LOCK = ".lock"
_SHA256 = re.compile(r"[0-9a-f]{64}")
_INTERPRETER = re.compile(r"cpython.*\.tar\.(gz|zst)")
_TAG = re.compile(r"g[0-9]{5,}-.+\.json")


class Tree:
    """A folder that is a mirror."""

    def __init__(self, root: Path, say: Callable[[str], None], *, verify: bool | None = None) -> None:
        """Use a folder; it is made when something is written.

        Args:
            root: The folder.
            say: Prints a line.
            verify: Whether existing files are read and compared before they count as there; if False, a
                check compares their sizes only.
        """
        self.name = str(root)
        self.root = root
        self._verify = verify
        self._say = say
        self.spool = Spool(root / PARTIAL, say)

    @contextmanager
    def written(self) -> Iterator[None]:
        """Acquire the lock of the folder, which another process may have; wait for it.

        Raises:
            DiskError: The folder cannot be written.
        """
        with locked_file(
            self.root / _LOCK, lambda: self._say(f"{self.root}: another mirror writes there; waiting")
        ):
            yield

    def interpreters(self) -> Mapping[str, InterpreterConfig]:
        """Return the interpreters of the folder, by their keys."""
        path = self.root / INTERPRETERS_INDEX
        try:
            return parse_interpreters_index(read_regular(path), str(path))
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise disk_error(error, path) from error

    def prepare(self, wanted: Wanted, downloads: Mapping[str, Download], supply: Supply) -> None:  # noqa: ARG002
        """Check that the disk has room for the wheels that are missing."""
        needed = sum(item.size_bytes - self._present_bytes(item) for item in wanted.items)
        make_directory(self.root)
        demand_free(self.root, needed)

    def send(self, item: Item, supply: Supply) -> Way:
        """Write a file unless the folder has it."""
        path = self.root / item.path
        if self._has_size(item) and not (self._verify and self.fault(item)):
            supply.advance(item.size_bytes)
            return "kept"
        self.spool.receive(item, supply, path)
        return "sent"

    def publish(
        self, configs: Iterable[LockConfig], interpreters: Mapping[str, InterpreterConfig]
    ) -> Published:
        """Write the list of interpreters, the configs of the locks, and the pages of all wheels."""
        new: list[str] = []
        kept: list[str] = []
        if interpreters:
            write_if_changed(self.root / INTERPRETERS_INDEX, format_interpreters_index(interpreters.values()))
        self._write_pages()
        for config in configs:
            path = self.root / artifact_path(config.tag)
            (new if write_if_changed(path, format_lock_config(config)) else kept).append(config.tag)
        return Published(tuple(new), tuple(kept))

    def fault(self, item: Item) -> str | None:
        """Read a file, and return what is wrong with it; None if it is right."""
        path = self.root / item.path
        try:
            with open_regular(path) as file:
                size = os.fstat(file.fileno()).st_size
                if size != item.size_bytes or self._verify is False:
                    return None if size == item.size_bytes else f"is damaged: it has {size:,} bytes"
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except FileNotFoundError:
            return "is missing"
        except OSError as error:
            return f"cannot be read: {error.strerror}"
        return None if found == item.sha256 else f"is damaged: its digest is sha256:{found}"

    def unnamed(self, configs: Iterable[LockConfig]) -> list[str]:
        """Return the tags of the locks whose config the folder lacks, or has with another content."""
        return [
            config.tag
            for config in configs
            if not _has_content(self.root / artifact_path(config.tag), format_lock_config(config))
        ]

    def defects(self) -> list[str]:
        """Return a line for each page that does not list the wheels of the folder."""
        return [
            f"{self.root / path}: does not list the wheels of the folder"
            for path, content in self._pages().items()
            if not _has_content(self.root / path, content)
        ]

    def prune(
        self,
        configs: Iterable[LockConfig],
        items: Iterable[Item],
        interpreters: Mapping[str, InterpreterConfig] | None,
        *,
        dry_run: bool,
    ) -> Removed:
        """Remove configs, pages and files that are not wanted; what is not a mirror's is left."""
        artifacts = {self.root / artifact_path(config.tag) for config in configs}
        wanted = {self.root / item.path for item in items}
        found = self.interpreters()
        kept = found if interpreters is None else interpreters
        archives = {self.root / interpreter_path(config.path) for config in kept.values()}
        # In the order in which readers come to need them: no name leads to a missing file.
        old = [
            *(path for path in self._artifacts() if path not in artifacts),
            *(path for path in self._wheels() if path not in wanted),
        ]
        if interpreters is not None:
            old += [path for path in self._archives() if path not in archives]
        partial = [path for path in _files(self.root / PARTIAL) if path.name not in _digests(items)]
        partial += sorted(self.root.rglob(".*.partial"))  # of a killed run
        size = sum(path.stat().st_size for path in (*old, *partial))
        names = tuple(str(path.relative_to(self.root)) for path in (*old, *partial))
        if dry_run:
            return Removed(names, size, self._foreign())
        if kept != found:
            write_if_changed(self.root / INTERPRETERS_INDEX, format_interpreters_index(kept.values()))
        for path in (path for path in old if path.parent.name == ARTIFACTS):
            _remove(path, self.root)
        self._write_pages(without=old)
        for path in (*old, *partial):
            _remove(path, self.root)
        return Removed(names, size, self._foreign())

    def _present_bytes(self, item: Item) -> int:
        if self._has_size(item):
            return item.size_bytes
        try:
            return min(item.size_bytes, (self.spool.directory / item.sha256).stat().st_size)
        except OSError:
            return 0

    def _has_size(self, item: Item) -> bool:
        path = self.root / item.path
        try:
            return path.is_file() and path.stat().st_size == item.size_bytes
        except OSError:
            return False

    def _artifacts(self) -> list[Path]:
        return [path for path in _files(self.root / ARTIFACTS) if _TAG.fullmatch(path.name)]

    def _wheels(self) -> list[Path]:
        """Return the paths of all wheels, sorted."""
        return [
            path
            for folder in _entries(self.root / FILES)
            if _SHA256.fullmatch(folder.name) and folder.is_dir()
            for path in _files(folder)
            if project_of(path.name) is not None
        ]

    def _archives(self) -> list[Path]:
        """Return the paths of all archives of interpreters, listed or not, sorted."""
        return [
            path
            for folder in _entries(self.root / INTERPRETERS)
            for path in _files(folder)
            if _INTERPRETER.fullmatch(path.name)
        ]

    def _pages(self, without: Iterable[Path] = ()) -> dict[str, bytes]:
        projects: dict[str, list[tuple[str, str]]] = {}
        left_out = set(without)
        for path in self._wheels():
            project = project_of(path.name)
            if project is not None and path not in left_out:
                projects.setdefault(project, []).append((path.parent.name, path.name))
        pages = {project_path(name): project_page(name, files) for name, files in projects.items()}
        return pages | {f"{SIMPLE}/{PAGE}": root_page(projects)}

    def _write_pages(self, without: Iterable[Path] = ()) -> None:
        pages = self._pages(without)
        for path, content in pages.items():
            write_if_changed(self.root / path, content)
        for folder in _entries(self.root / SIMPLE):
            page = folder / PAGE
            if f"{SIMPLE}/{folder.name}/{PAGE}" not in pages and page.is_file() and _is_own(page):
                _remove(page, self.root)

    def _foreign(self) -> tuple[str, ...]:
        """Return a line for each entry that a mirror does not write."""
        own = {ARTIFACTS, FILES, SIMPLE, INTERPRETERS, PARTIAL, _LOCK}
        known = {*self._artifacts(), *self._wheels()}
        others = [path for path in _entries(self.root) if path.name not in own]
        others += [path for path in _files(self.root / ARTIFACTS) if path not in known]
        for folder in _entries(self.root / FILES):
            if not folder.is_dir() or not _SHA256.fullmatch(folder.name):
                others.append(folder)
            else:
                others += [path for path in _entries(folder) if path not in known]
        return tuple(f"{path}: is not a mirror's; left" for path in others)


def demand_free(directory: Path, needed_bytes: int) -> None:
    """Refuse a write that the disk cannot hold.

    Args:
        directory: A folder on the disk.
        needed_bytes: How much is to be written.

    Raises:
        DiskError: Less is free.
    """
    try:
        free = shutil.disk_usage(directory).free
    except OSError as error:
        raise disk_error(error, directory) from error
    if needed_bytes > free:
        raise DiskError(
            f"{directory}: {needed_bytes:,} bytes are needed, {free:,} are free; make room, or mirror less "
            "with --only, --pool or --machine"
        )


def project_of(filename: str) -> str | None:
    """Return the normalized name of a wheel's package; None if the file is not a wheel."""
    try:
        return parse_wheel_filename(filename)[0]
    except (InvalidWheelFilename, ValueError):
        return None


def _digests(items: Iterable[Item]) -> set[str]:
    return {item.sha256 for item in items}


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise disk_error(error, folder) from error


def _files(folder: Path) -> list[Path]:
    return [path for path in _entries(folder) if path.is_file() and not path.is_symlink()]


def _has_content(path: Path, content: bytes) -> bool:
    try:
        return read_regular(path) == content
    except OSError:
        return False


def _is_own(page: Path) -> bool:
    try:
        return is_own_page(read_regular(page))
    except OSError:
        return False


def _remove(path: Path, root: Path) -> None:
    """Remove a file, and the folders that it leaves empty."""
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise disk_error(error, path) from error
    with suppress(OSError):  # not empty
        for folder in path.parents:
            if folder in {root, root / FILES, root / SIMPLE, root / INTERPRETERS, root / ARTIFACTS}:
                return
            folder.rmdir()
