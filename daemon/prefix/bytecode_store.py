"""The shared bytecode, `pyc/KEY/ab/SOURCE-DIGEST.pyc`: by interpreter, digest of source, and its own digest.

The second digest was taken when the bytecode was made. Environments share the inode, so whoever writes to one
of them has written to all: what is used again is read again, and held against its name.
"""

import os
import re
import stat
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from daemon.host.file_content import file_sha256
from daemon.host.known_contents import KnownContents
from daemon.host.modes import FILE_MODE, make_folder
from daemon.prefix.bytecode_list import bytecode_path
from daemon.prefix.mending import remove_anything
from daemon.prefix.prefix import Prefix
from daemon.prefix.tree_check import trusted_owners

_NAME = re.compile(r"(?P<source>[0-9a-f]{64})-(?P<sha256>[0-9a-f]{64})\.pyc")


@dataclass(frozen=True, slots=True)
class Damaged:
    """Bytecode that is not what its name says: the inode, which environments may link as well.

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
        damaged: What was found damaged, and dropped, in this run.
    """

    prefix: Prefix
    known: KnownContents
    damaged: list[Damaged] = field(default_factory=list)
    _by_source: dict[str, dict[str, str]] = field(default_factory=dict, repr=False)
    _guard: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    def find(self, key: str, source_sha256: str) -> str | None:
        """Give the digest of a source's bytecode, as its name says it; None when there is none.

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
        with ThreadPoolExecutor(self.known.jobs) as pool:
            sound = pool.map(lambda item: self._is_sound(*item), wanted)
            return {item for item, right in zip(wanted, sound, strict=True) if right}

    def publish(self, compiled: str, key: str, source_sha256: str, *, links: bool) -> str:
        """Keep new bytecode, which is on the disk already.

        Args:
            compiled: The file, in the staging folder.
            key: What the interpreter's bytecode is kept under.
            source_sha256: Digest of the source.
            links: Whether it is linked; where it cannot be, it is moved.

        Returns:
            Its digest.
        """
        sha256 = file_sha256(compiled)
        final = bytecode_path(self.prefix, key, source_sha256, sha256)
        self.known.record(os.lstat(compiled), sha256)
        # A link, not a rename: of renames from one folder to another a file system does one at a time.
        if links and not final.exists():
            os.link(compiled, final)
        else:
            os.rename(compiled, final)  # noqa: PTH104 (there are many)
        with self._guard:
            self._by_source.setdefault(key, {})[source_sha256] = sha256
        return sha256

    def make_directories(self, key: str) -> None:
        """Make the folders that the bytecode of an interpreter is spread over."""
        for number in range(256):
            make_folder(self.prefix.bytecode / key / f"{number:02x}")

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
        # What is no file is not opened: a pipe would wait for somebody who writes to it.
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
