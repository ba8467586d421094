"""Compares an installed tree with its manifest."""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from daemon.errors import DamageError, NewerFormatError
from daemon.host.file_content import file_sha256
from daemon.host.many_items import work_off
from daemon.host.modes import FOLDER_MODE
from daemon.host.tree_walk import Entry, walk_tree
from daemon.prefix.finding import Finding, Kind
from daemon.prefix.inventory import InventoryFile
from daemon.prefix.manifest import MANIFEST_NAME, Manifest, expected_files, read_manifest
from daemon.prefix.prefix import Prefix
from daemon.prefix.record_memory import RecordMemory
from daemon.prefix.tree_label import interpreter_label, tree_label


@dataclass(slots=True)
class Digests:
    """The digests of inodes, each read once however many names it has."""

    jobs: int
    known: dict[tuple[int, int], str] = field(default_factory=dict)
    read_bytes: int = 0
    records: RecordMemory = field(default_factory=RecordMemory)

    def digest(self, files: Iterable[tuple[str, os.stat_result]]) -> Iterator[tuple[str, str]]:
        """Yield the path and the digest of each file; those of one inode are read once."""
        files = list(files)
        new = {}
        for path, status in files:
            identity = (status.st_dev, status.st_ino)
            if identity not in self.known and identity not in new:
                new[identity] = path
                self.read_bytes += status.st_size
        read = dict(zip(new, self._read(list(new.values())), strict=True))
        # A name that cannot be read, as after a prune, says nothing of the other names of its inode.
        self.known |= {identity: digest for identity, digest in read.items() if not _is_error(digest)}
        for path, status in files:
            yield path, self.known.get((status.st_dev, status.st_ino)) or _digest_or_error(path)

    def _read(self, paths: list[str]) -> list[str]:
        """Read files; most trees have few that no other tree has, for which no thread has to begin."""
        return work_off(paths, _digest_or_error, self.jobs)


def verify_tree(prefix: Prefix, tree: Path, digests: Digests, findings: list[Finding]) -> int:
    """Check one environment or toolkit.

    Args:
        prefix: The prefix.
        tree: Its folder.
        digests: The digests that are known already.
        findings: Where differences are added.

    Returns:
        How many files there are in it.
    """
    label = tree_label(prefix, tree)
    try:
        manifest = read_manifest(tree / MANIFEST_NAME)
        expected = expected_files(prefix, manifest, digests.records)
    except NewerFormatError as error:
        findings.append(Finding(label, "", "newer", str(error)))
        return 0
    except DamageError as error:
        findings.append(Finding(label, "", "unreadable", str(error)))
        return 0
    return compare_tree(prefix, tree, manifest, expected, digests, findings)


def verify_interpreter(prefix: Prefix, name: str, digests: Digests, findings: list[Finding]) -> int:
    """Check one managed interpreter.

    Args:
        prefix: The prefix.
        name: Its name below `uv/python`.
        digests: The digests that are known already.
        findings: Where differences are added.

    Returns:
        How many files there are in it.
    """
    label = interpreter_label(name)
    mark = prefix.interpreter_manifest(name)
    try:
        if mark.exists() and not mark.stat().st_size:
            raise DamageError("an earlier release kept no list of its files; `verify --repair` makes it")
        manifest = read_manifest(mark)
    except NewerFormatError as error:
        findings.append(Finding(label, "", "newer", str(error)))
        return 0
    except DamageError as error:
        findings.append(Finding(label, "", "unreadable", str(error)))
        return 0
    tree = prefix.interpreter(name)
    if tree.is_symlink() or not tree.is_dir():
        findings.append(Finding(label, "", "missing", "the interpreter is not there"))
        return 0
    expected = expected_files(prefix, manifest)
    return compare_tree(prefix, tree, manifest, expected, digests, findings, empty_folders=True)


def compare_tree(
    prefix: Prefix,
    tree: Path,
    manifest: Manifest,
    expected: dict[str, InventoryFile],
    digests: Digests,
    findings: list[Finding],
    *,
    empty_folders: bool = False,
) -> int:
    """Compare a folder with its manifest.

    Args:
        prefix: The prefix.
        tree: The folder.
        manifest: What its links are.
        expected: What its files are; those that are there are taken out of it.
        digests: The digests that are known already.
        findings: Where differences are added.
        empty_folders: Whether empty folders, which no manifest holds, may be there.

    Returns:
        How many files and links there are in it.
    """
    comparison = _Comparison(prefix, tree_label(prefix, tree), manifest, expected, findings)
    comparison.run(tree, digests, empty_folders=empty_folders)
    return comparison.count


class _Comparison:
    """One comparison of a folder with its manifest."""

    def __init__(
        self,
        prefix: Prefix,
        label: str,
        manifest: Manifest,
        expected: dict[str, InventoryFile],
        findings: list[Finding],
    ) -> None:
        self.count = 0
        self._label = label
        self._expected = expected
        self._links = {link.path: link.target for link in manifest.links}
        self._folders = _folders([*expected, *self._links])
        self._owners = trusted_owners(prefix)
        self._findings = findings
        self._to_read: list[tuple[str, os.stat_result, InventoryFile]] = []

    def run(self, tree: Path, digests: Digests, *, empty_folders: bool) -> None:
        """Walk over the folder, then read what is of the right kind, size and mode."""
        for entry in walk_tree(str(tree), self._folders):
            if entry.failure is not None:
                self._add(entry.relative, "unreadable", entry.failure.strerror or "cannot be read")
            elif entry.relative == MANIFEST_NAME and not entry.is_folder:
                continue
            elif entry.is_folder:
                self._folder(entry, empty_folders)
            else:
                self.count += 1
                self._entry(entry)
        wanted = {path: file.sha256 for path, _, file in self._to_read}
        base = len(str(tree)) + 1
        for path, digest in digests.digest((path, status) for path, status, _ in self._to_read):
            if digest != wanted[path]:
                self._add(path[base:], "changed", f"sha256:{digest}, not sha256:{wanted[path]}")
        for path in sorted([*self._expected, *self._links]):
            self._add(path, "missing")

    def _add(self, path: str, kind: Kind, detail: str = "") -> None:
        self._findings.append(Finding(self._label, path, kind, detail))

    def _folder(self, entry: Entry, empty_folders: bool) -> None:
        if entry.relative in self._folders or not entry.relative:
            mode = stat.S_IMODE(entry.status.st_mode) & 0o777
            if mode != FOLDER_MODE:
                self._add(entry.relative or ".", "changed", folder_mode(mode))
            elif entry.status.st_uid not in self._owners:
                self._add(entry.relative or ".", "changed", _owner(entry.status))
        elif self._expected.pop(entry.relative, None) or self._links.pop(entry.relative, None):
            self._add(entry.relative, "changed", "is a folder")
        elif entry.files or not empty_folders:
            told = f"a folder with {entry.files} files" if entry.files else "an empty folder"
            self._add(entry.relative, "extra", told)

    def _entry(self, entry: Entry) -> None:
        relative, status = entry.relative, entry.status
        file = self._expected.pop(relative, None)
        target = self._links.pop(relative, None)
        if file is not None:
            wrong = self._wrong(file, status)
            if wrong:
                self._add(relative, "changed", wrong)
            else:
                self._to_read.append((entry.path, status, file))
        elif target is not None:
            self._link(entry, target)
        elif relative in self._folders:
            self._add(relative, "changed", f"is {_kind(status)}, not a folder")
        else:
            self._add(relative, "extra", "" if stat.S_ISREG(status.st_mode) else _kind(status))

    def _link(self, entry: Entry, target: str) -> None:
        if not stat.S_ISLNK(entry.status.st_mode):
            self._add(entry.relative, "changed", f"is {_kind(entry.status)}, not a symbolic link")
            return
        found = os.readlink(entry.path)  # noqa: PTH115 (there are many)
        if target != found:
            self._add(entry.relative, "changed", f"links to {found}, not to {target}")
        elif not os.path.exists(entry.path):  # noqa: PTH110 (there are many)
            self._add(entry.relative, "missing", f"links to {target}, which is not there")

    def _wrong(self, file: InventoryFile, status: os.stat_result) -> str:
        if not stat.S_ISREG(status.st_mode):
            return f"is {_kind(status)}, not a file"
        if status.st_size != file.size_bytes:
            return f"{status.st_size:,} bytes, not {file.size_bytes:,}"
        if stat.S_IMODE(status.st_mode) != file.mode:
            return f"mode {stat.S_IMODE(status.st_mode):o}, not {file.mode:o}"
        return "" if status.st_uid in self._owners else _owner(status)


def trusted_owners(prefix: Prefix) -> set[int]:
    """Return the users that may own installed files: root, the owner of the prefix, and this process's."""
    owners = {0, os.geteuid()}
    with suppress(OSError):
        owners.add(prefix.generations.stat().st_uid)
    return owners


def folder_mode(mode: int) -> str:
    """Return the detail of a finding of a folder with a wrong mode."""
    return f"a folder of mode {mode:o}, not {FOLDER_MODE:o}"


def _owner(status: os.stat_result) -> str:
    return f"is owned by the user {status.st_uid}, neither root nor the owner of the prefix"


def _kind(status: os.stat_result) -> str:
    kinds = {
        stat.S_IFREG: "a file", stat.S_IFDIR: "a folder", stat.S_IFLNK: "a symbolic link",
        stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket",
    }  # fmt: skip
    return kinds.get(stat.S_IFMT(status.st_mode), "a device")


def _folders(paths: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for path in paths:
        directory = path.rpartition("/")[0]
        while directory and directory not in found:
            found.add(directory)
            directory = directory.rpartition("/")[0]
    return found


def _is_error(digest: str) -> bool:
    return digest.startswith("(")


def _digest_or_error(path: str) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        return f"({error.strerror})"
