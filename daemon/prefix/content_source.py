"""Finds the right bytes of a damaged file on the prefix itself: under each name that shares its content.

A file of an environment is one inode with the entry of `files/`, the wheel in uv's cache, and the shared
bytecode. Some of these may still be right; those that are not are given the right inode, or go, so that the
damage does not come back with the next install.
"""

import errno
import os
import shutil
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from daemon.host.file_content import copy_file, file_sha256
from daemon.host.modes import make_folder
from daemon.prefix.content_store import ContentStore
from daemon.prefix.inventory import InventoryFile
from daemon.prefix.staging import temporary_path


@dataclass(slots=True)
class ContentSource:
    """Finds content on a prefix.

    Attributes:
        staging: Where what is taken is put, before it is renamed.
        store: The contents by digest.
        owners: Who may own a file.
        looked_at: How many paths were looked at.
    """

    staging: Path
    store: ContentStore
    owners: set[int]
    looked_at: int = 0
    _digests: dict[tuple[int, int, int, int], str] = field(default_factory=dict)

    def take(self, file: InventoryFile, places: Iterable[Path], lenders: Sequence[Path] = ()) -> Path | None:
        """Put the content of a file under a new name in the staging folder.

        Args:
            file: What it must be.
            places: Where the same inode should be; what is not right there is replaced or removed.
            lenders: Where else its content may be, with whatever mode; the last one is what is damaged.

        Returns:
            The new name; None when nothing on the prefix has the content.
        """
        places = list(places)
        entry = self.store.path(file.sha256, file.executable)
        known = [*([entry] if self.store.enabled else []), *places]
        staged = self._staged(file, [*known, *lenders])
        for place in known:
            wrong = os.path.lexists(place) and not self.is_sound(place, file)
            if not wrong or (place == entry and not self._is_damage(entry, file, lenders)):
                continue
            _discard(place)
            if staged is not None:
                link_or_copy(staged, place)
        if staged is not None:
            self._link_missing(staged, file, places, entry)
        return staged

    def is_sound(self, path: Path, file: InventoryFile) -> bool:
        """Return whether a path is a file of the right content, mode and owner."""
        self.looked_at += 1
        try:
            status = path.lstat()
        except OSError:
            return False
        return (
            stat.S_ISREG(status.st_mode)
            and stat.S_IMODE(status.st_mode) == file.mode
            and status.st_uid in self.owners
            and self._has_content(path, status, file)
        )

    def _staged(self, file: InventoryFile, known: list[Path]) -> Path | None:
        staged = temporary_path(self.staging)
        if not file.size_bytes:
            staged.touch(exist_ok=False)
            staged.chmod(file.mode)
            return staged
        good = next((place for place in known if self.is_sound(place, file)), None)
        if good is not None:
            link_or_copy(good, staged)
            return staged
        for place in known:
            self.looked_at += 1
            try:
                status = place.lstat()
            except OSError:
                continue
            if stat.S_ISREG(status.st_mode) and self._has_content(place, status, file):
                copy_file(place, staged)  # only its mode or owner is wrong, which belong to the inode
                staged.chmod(file.mode)
                return staged
        return None

    def _link_missing(self, staged: Path, file: InventoryFile, places: Iterable[Path], entry: Path) -> None:
        """Link the right content where later wheels, and bytecode of later environments, look for it."""
        if not self.store.enabled or not file.size_bytes:
            return
        for place in (entry, *(path for path in places if path.suffix == ".pyc")):
            if not os.path.lexists(place):
                make_folder(place.parent)
                link_or_copy(staged, place)

    def _is_damage(self, entry: Path, file: InventoryFile, lenders: Sequence[Path]) -> bool:
        """Return whether an entry is damaged; one with another mode may be right for other files."""
        status = entry.lstat()
        if not stat.S_ISREG(status.st_mode) or not self._has_content(entry, status, file):
            return True
        try:
            return bool(lenders) and lenders[-1].lstat().st_ino == status.st_ino
        except OSError:
            return False

    def _has_content(self, path: Path, status: os.stat_result, file: InventoryFile) -> bool:
        if status.st_size != file.size_bytes:
            return False
        identity = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)
        if identity not in self._digests:
            try:
                self._digests[identity] = file_sha256(path)
            except OSError:
                return False
        return self._digests[identity] == file.sha256


def link_or_copy(source: Path, target: Path) -> None:
    """Link a file, or copy it where it cannot be linked."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in {errno.EMLINK, errno.EXDEV, errno.EPERM, errno.ENOTSUP}:
            raise
        copy_file(source, target)


def _discard(place: Path) -> None:
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink()
