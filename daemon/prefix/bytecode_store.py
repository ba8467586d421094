"""The shared bytecode, `pyc/KEY/ab/SOURCE-DIGEST.pyc`: by interpreter, digest of source, and its own digest.

The second digest was taken when the bytecode was made. Environments share the inode, so whoever writes to one
of them has written to all: bytecode that is used again is read again, and compared with its name.
"""

import errno
import os
import re
import shutil
import stat
import threading
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from daemon.errors import DamageError, NewerFormatError
from daemon.host.file_content import copy_file, same_content
from daemon.host.known_contents import KnownContents
from daemon.host.many_items import work_off
from daemon.host.modes import FILE_MODE, make_folder
from daemon.prefix.bytecode_list import bytecode_path, read_bytecode_list
from daemon.prefix.manifest import MANIFEST_NAME, BytecodePart, read_manifest
from daemon.prefix.mending import remove_anything
from daemon.prefix.prefix import Prefix
from daemon.prefix.staging import temporary_path
from daemon.prefix.tree_check import trusted_owners

_NAME = re.compile(r"(?P<source>[0-9a-f]{64})-(?P<sha256>[0-9a-f]{64})\.pyc")


def compiled_name(key: str, source_sha256: str) -> str:
    """Return the name of the bytecode of a source in the folder in which it is compiled."""
    return f"{key}.{source_sha256}"


def compiled_names(stagings: Iterable[Path]) -> set[str]:
    """Return the names of the files in folders of the staging folder, which `compiled_name` gave."""
    return {entry.name for folder in stagings for entry in os.scandir(folder)}


def read_compiled(staging: Path, known: KnownContents) -> None:
    """Read the bytecode in a folder of the staging folder, so that `publish_all` finds its digests known."""
    known.read((entry.path, entry.stat(follow_symlinks=False)) for entry in os.scandir(staging))


@dataclass(frozen=True, slots=True)
class Damaged:
    """Bytecode that differs from its name: its inode, which environments may link as well.

    Attributes:
        key: What its interpreter's bytecode is kept under.
        source_sha256: Digest of the source.
        sha256: Digest that it should have.
        identity: Device and inode.
    """

    key: str
    source_sha256: str
    sha256: str
    identity: tuple[int, int]


@dataclass(frozen=True, slots=True)
class BytecodeStore:
    """The shared bytecode of one prefix.

    Attributes:
        prefix: The prefix.
        known: What this run has read.
        links: Whether bytecode is linked into environments; where it cannot be, it is copied.
        damaged: What was found damaged, and dropped, in this run.
    """

    prefix: Prefix
    known: KnownContents
    links: bool = True
    damaged: list[Damaged] = field(default_factory=list)
    _by_source: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)
    _guard: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)
    _renewal: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def find(self, key: str, source_sha256: str) -> str | None:
        """Return the digest of a source's bytecode, from its name; None when there is none.

        Args:
            key: What the interpreter's bytecode is kept under.
            source_sha256: Digest of the source.
        """
        with self._guard:
            if key not in self._by_source:
                self._by_source[key] = self._scan(key)
            return self._by_source[key].get(source_sha256)

    def check(self, wanted: Iterable[tuple[str, str, str]]) -> set[tuple[str, str, str]]:
        """Read bytecode, several files at once, and drop what is not what its name says.

        Args:
            wanted: Key, digest of the source, and digest of the bytecode, of each.

        Returns:
            Those that are there and right.
        """
        wanted = list(dict.fromkeys(wanted))
        sound = work_off(wanted, lambda item: self._is_sound(*item), self.known.jobs)
        return {item for item, right in zip(wanted, sound, strict=True) if right}

    def publish_all(self, stagings: Iterable[Path]) -> None:
        """Keep new bytecode, which is on the disk already, and remove the folders that it was made in.

        Args:
            stagings: Folders in the staging folder, whose files are named by `compiled_name`.
        """
        made: set[str] = set()
        for staging in stagings:
            for entry in sorted(os.scandir(staging), key=lambda entry: entry.name):
                key, _, source_sha256 = entry.name.rpartition(".")
                if key not in made:
                    self._make_folders(key)
                    made.add(key)
                self._publish(entry.path, key, source_sha256)
            shutil.rmtree(staging)

    def link(self, key: str, source_sha256: str, sha256: str, path: str) -> None:
        """Link bytecode into an environment, or copy it where links are switched off.

        Args:
            key: What the interpreter's bytecode is kept under.
            source_sha256: Digest of the source.
            sha256: Digest of the bytecode.
            path: The new name; the same content may have it already, as when two packages bring one source.

        Raises:
            FileNotFoundError: There is no such bytecode.
            FileExistsError: Something else has the name.
        """
        shared = bytecode_path(self.prefix, key, source_sha256, sha256)
        if not self.links:
            copy_file(shared, path)
            return
        try:
            os.link(shared, path)
        except FileExistsError:
            if not same_content(shared, path):
                raise
        except OSError as error:
            if error.errno != errno.EMLINK:
                raise
            self._renew_and_link(shared, path)

    def replace_damaged(self) -> None:
        """Replace the damaged bytecode that was dropped by the recompiled file, wherever it is linked."""
        damaged = {(item.key, item.source_sha256, item.sha256): item.identity for item in self.damaged}
        keys = {item.key for item in self.damaged}
        if not damaged:
            return
        for name in self.prefix.installed_generations():
            for manifest in self.prefix.generation(name).glob(f"*/{MANIFEST_NAME}"):
                try:
                    parts = [part for part in read_manifest(manifest).bytecode if part.key in keys]
                    for part in parts:
                        self._replace_in(manifest.parent / part.directory, part, damaged)
                except (DamageError, NewerFormatError):
                    continue  # `verify` reports it, and repairs it
        self.damaged.clear()

    def _publish(self, compiled: str, key: str, source_sha256: str) -> None:
        sha256 = self.known.digest(compiled, os.lstat(compiled))
        final = bytecode_path(self.prefix, key, source_sha256, sha256)
        # A link, not a rename: of renames from one folder to another a file system does one at a time.
        try:
            if not self.links:
                raise FileExistsError
            os.link(compiled, final)
        except FileExistsError:
            os.rename(compiled, final)  # noqa: PTH104 (there are many)
        with self._guard:
            self._by_source.setdefault(key, {})[source_sha256] = sha256

    def _make_folders(self, key: str) -> None:
        """Make the folders that the bytecode of an interpreter is spread over."""
        for number in range(256):
            make_folder(self.prefix.bytecode / key / f"{number:02x}")

    def _replace_in(
        self, directory: Path, part: BytecodePart, damaged: dict[tuple[str, str, str], tuple[int, int]]
    ) -> None:
        for file in read_bytecode_list(self.prefix, part.wheel_sha256, part.key) or ():
            identity = damaged.get((part.key, file.source_sha256, file.sha256))
            shared = bytecode_path(self.prefix, part.key, file.source_sha256, file.sha256)
            if identity is None or not shared.exists():
                continue
            path = directory / file.path
            try:
                status = path.lstat()
            except (FileNotFoundError, NotADirectoryError):
                continue
            if (status.st_dev, status.st_ino) == identity:
                fresh = temporary_path(self.prefix.staging)
                self.link(part.key, file.source_sha256, file.sha256, str(fresh))
                fresh.rename(path)

    def _renew_and_link(self, shared: Path, path: str) -> None:
        """Replace an inode that has no more links to give by a copy, and link that."""
        with self._renewal:
            try:
                os.link(shared, path)  # another thread may have been first
            except OSError as error:
                if error.errno != errno.EMLINK:
                    raise
                temporary = temporary_path(self.prefix.staging)
                copy_file(shared, temporary)
                temporary.rename(shared)  # it is synced: `copy_file` does that
                os.link(shared, path)

    def _scan(self, key: str) -> dict[str, str]:
        found: dict[str, str] = {}
        directory = self.prefix.bytecode / key
        if not directory.is_dir():
            return found
        for folder in os.scandir(directory):
            for entry in os.scandir(folder.path) if folder.is_dir(follow_symlinks=False) else ():
                name = _NAME.fullmatch(entry.name)
                if name is not None:
                    found[name["source"]] = name["sha256"]
        return found

    def _is_sound(self, key: str, source_sha256: str, sha256: str) -> bool:
        path = bytecode_path(self.prefix, key, source_sha256, sha256)
        try:
            status = path.lstat()
        except FileNotFoundError:
            return False
        # Open regular files only: opening a FIFO blocks until a writer appears.
        plain = stat.S_ISREG(status.st_mode) and stat.S_IMODE(status.st_mode) == FILE_MODE
        if plain and status.st_uid in trusted_owners(self.prefix):
            with suppress(OSError):
                if self.known.digest(str(path), status) == sha256:
                    return True
        self._drop(path, Damaged(key, source_sha256, sha256, (status.st_dev, status.st_ino)))
        return False

    def _drop(self, path: Path, damaged: Damaged) -> None:
        remove_anything(path)
        with self._guard:
            self.damaged.append(damaged)
            held = self._by_source.get(damaged.key, {})
            if held.get(damaged.source_sha256) == damaged.sha256:
                del held[damaged.source_sha256]
