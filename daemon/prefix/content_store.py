"""One inode for each content on the prefix: a folder of links that are named by digest.

`files/ab/abcd…` (`.x` for executables) links every installed content once. It finds the inode to share when
another wheel, or the same wheel after uv's cache was cleaned, brings the same bytes again. An entry with
a link count of one is used by nothing else and may go.
"""

import errno
import os
import secrets
import shutil
import stat
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from daemon.host.file_content import copy_file, file_sha256, same_content
from daemon.host.modes import make_folder

Outcome = Literal["first", "same", "linked", "renewed", "alone"]


@dataclass(frozen=True, slots=True)
class ContentStore:
    """The links by digest of one prefix.

    Attributes:
        directory: Where they are.
        staging: A folder of the same mount for what has no final name yet; a killed install leaves nothing
            elsewhere, least of all in a wheel of uv's cache, which environments are linked from.
        enabled: False where the file system has no hard links: then nothing is shared.
    """

    directory: Path
    staging: Path
    enabled: bool = True
    _renewal: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def path(self, sha256: str, executable: bool) -> Path:
        """Return the path of a content, whether or not it exists."""
        return Path(self._entry(sha256, executable))

    def _entry(self, sha256: str, executable: bool) -> str:
        return f"{self.directory}/{sha256[:2]}/{sha256}{'.x' if executable else ''}"

    def adopt(self, path: str, sha256: str, status: os.stat_result) -> Outcome:
        """Make a file share its inode with all files of the same content.

        The contents are compared byte for byte before a link replaces the file.

        Args:
            path: The file; it was synced, as it may become what its digest stands for, and a power loss must
                leave no empty file under a digest.
            sha256: Digest of its content.
            status: What lstat(2) says of it.

        Returns:
            `first`: the store had no such content and links this file now; `same`: it is the store's inode;
            `linked`: the file was replaced by a link to it; `renewed`: the store's inode has no link to
            give (EMLINK) or is damaged, and this file takes its place; `alone`: there is nothing to share,
            as the file is empty, or sharing is off.
        """
        if not self.enabled or status.st_size == 0:
            return "alone"
        entry = self._entry(sha256, bool(status.st_mode & stat.S_IXUSR))
        try:
            held = _link_first(path, entry)
        except OSError as error:
            if error.errno != errno.EMLINK:
                raise
            return self._renew(path, sha256, status, Path(entry), None)
        return "first" if held is None else self._share(path, sha256, status, Path(entry), held)

    def _share(
        self, path: str, sha256: str, status: os.stat_result, entry: Path, held: os.stat_result
    ) -> Outcome:
        if (held.st_ino, held.st_dev) == (status.st_ino, status.st_dev):
            return "same"
        # Open regular files only: opening a FIFO blocks until a writer appears.
        if not stat.S_ISREG(held.st_mode) or not same_content(path, entry):
            if file_sha256(path) != sha256:
                raise ValueError(f"{path}: does not have the digest {sha256}")
            return self._renew(path, sha256, status, entry, held)  # the entry is damaged: this one is better
        if held.st_mode != status.st_mode:
            return "alone"
        if held.st_uid != status.st_uid:  # who owns it could write to it
            return self._renew(path, sha256, status, entry, held)
        if replace_by_link(entry, path):
            return "linked"
        return self._renew(path, sha256, status, entry, held)

    def place(self, source: str, path: str, sha256: str) -> None:
        """Link a file into a staged tree; copy it, and share the copy, where the inode has no link to give.

        Args:
            source: The file, which is on the disk.
            path: Its new name.
            sha256: Digest of its content.

        Raises:
            FileExistsError: Something has the name.
        """
        if self.enabled:
            try:
                os.link(source, path)
            except OSError as error:
                if error.errno != errno.EMLINK:
                    raise
            else:
                return
        copy_file(source, path)
        self.adopt(path, sha256, os.lstat(path))

    def _renew(
        self, path: str, sha256: str, status: os.stat_result, entry: Path, held: os.stat_result | None
    ) -> Outcome:
        with self._renewal:
            now = entry.lstat() if os.path.lexists(entry) else None
            if (now and now.st_ino) == (held and held.st_ino):
                return self._replace_entry(path, entry)
        return self.adopt(path, sha256, status)  # another thread was first: there is a new inode to share

    def _replace_entry(self, path: str, entry: Path) -> Outcome:
        temporary = self.staging / secrets.token_hex(8)
        try:
            os.link(path, temporary)
        except OSError as error:
            if error.errno != errno.EMLINK:
                raise
            # The file itself has no link to give either: only a copy can be given from now on.
            copy_file(path, temporary)
        make_folder(entry.parent)
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        temporary.rename(entry)
        return "renewed"


def _link_first(path: str, entry: str) -> os.stat_result | None:
    """Link a file under its digest, unless something has that name; return the status of what has it.

    The link comes first: of a new node, nearly all names are free, and their folders exist.
    """
    try:
        try:
            os.link(path, entry)
        except FileNotFoundError:
            make_folder(entry.rpartition("/")[0])
            os.link(path, entry)
    except FileExistsError:
        return os.lstat(entry)
    return None


def replace_by_link(source: Path, path: str) -> bool:
    """Replace a file, which nothing uses yet, by a hard link.

    Not by a rename from another folder: a file system has one lock for all of these, and this takes half the
    time. A kill in between leaves a wheel or an environment that is made again anyway.

    Args:
        source: The file to link.
        path: The name that becomes a link to it.

    Returns:
        False when the source has no more links to give (EMLINK); then the file is a copy of it.
    """
    os.unlink(path)  # noqa: PTH108 (there are many)
    try:
        os.link(source, path)
    except OSError as error:
        if error.errno != errno.EMLINK:
            raise
        copy_file(source, path)
        return False
    return True
