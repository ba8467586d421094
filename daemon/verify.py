"""Compare what stands on the prefix with the manifests that sealing wrote."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sized
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from daemon.content_store import file_sha256
from daemon.errors import DamageError
from daemon.inventory import InventoryFile, walk_files
from daemon.line_file import has_digest
from daemon.manifest import MANIFEST_NAME, Manifest, expected_files, read_manifest
from daemon.mark import read_mark
from daemon.prefix import Prefix

Kind = Literal["changed", "missing", "extra", "unreadable"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference.

    Attributes:
        tree: The environment or toolkit, as its path under the prefix.
        path: The file in it; empty when the tree as a whole cannot be checked.
        kind: What is wrong.
        detail: What was expected and what was found.
    """

    tree: str
    path: str
    kind: Kind
    detail: str = ""

    def __str__(self) -> str:
        """One line for a person."""
        place = f"{self.tree}/{self.path}" if self.path else self.tree
        return f"{self.kind}: {place}" + (f": {self.detail}" if self.detail else "")


def count_differences(found: Sized) -> str:
    """Say how many differences there are: `1 difference`, `2 differences`."""
    return f"{len(found)} difference{'' if len(found) == 1 else 's'}"


@dataclass(slots=True)
class VerifyResult:
    """What was checked.

    Attributes:
        trees: How many environments and toolkits.
        files: How many files, each name of a shared file counted.
        read_bytes: Bytes that were read, each inode once.
        findings: The differences.
    """

    trees: int = 0
    files: int = 0
    read_bytes: int = 0
    findings: list[Finding] = field(default_factory=list)


@dataclass(slots=True)
class Digests:
    """The digests of inodes, each read once however many names it has."""

    jobs: int
    known: dict[tuple[int, int], str] = field(default_factory=dict)
    read_bytes: int = 0

    def digest(self, files: Iterable[tuple[str, os.stat_result]]) -> Iterator[tuple[str, str]]:
        """Give path and digest of each file; those of one inode are read once."""
        files = list(files)
        new = {}
        for path, status in files:
            identity = (status.st_dev, status.st_ino)
            if identity not in self.known and identity not in new:
                new[identity] = path
                self.read_bytes += status.st_size
        with ThreadPoolExecutor(self.jobs) as pool:
            self.known.update(zip(new, pool.map(_digest_or_error, new.values()), strict=True))
        for path, status in files:
            yield path, self.known[status.st_dev, status.st_ino]


def verify(
    prefix: Prefix, generation_names: Iterable[str], jobs: int, each: Callable[[str], None] | None = None
) -> VerifyResult:
    """Check every environment and toolkit of some generations, sealed or not.

    Nothing is written, so a read-only mount can be checked.

    Args:
        prefix: The prefix.
        generation_names: Names of generations, such as `g00003`.
        jobs: How many files are read at once.
        each: Told the name of each tree before it is checked.

    Returns:
        What was checked and found.
    """
    result = VerifyResult()
    digests = Digests(jobs)
    seen: set[str] = set()
    for name in generation_names:
        check_mark(prefix, name, result.findings)
        for entry in sorted(os.scandir(prefix.generation(name)), key=lambda entry: entry.name):
            if not entry.is_dir():
                if entry.is_symlink():
                    result.findings.append(
                        Finding(f"monobase/{name}", entry.name, "missing", "a broken link")
                    )
                continue
            tree = Path(entry.path).resolve() if entry.is_symlink() else Path(entry.path)
            label = tree_label(prefix, tree)
            if label in seen:
                continue
            seen.add(label)
            if each is not None:
                each(label)
            result.trees += 1
            result.files += verify_tree(prefix, tree, digests, result.findings)
    result.read_bytes = digests.read_bytes
    return result


def tree_label(prefix: Prefix, tree: Path) -> str:
    """Name a tree by its path under the prefix."""
    return os.path.relpath(
        tree, prefix.root.resolve() if tree.is_relative_to(prefix.root.resolve()) else prefix.root
    )


def check_mark(prefix: Prefix, name: str, findings: list[Finding]) -> None:
    """Check that the manifests of a sealed generation are the ones of its sealing."""
    directory = prefix.generation(name)
    tree = f"monobase/{name}"
    try:
        mark = read_mark(prefix.sealed_mark(name))
    except DamageError as error:
        findings.append(Finding(tree, ".done", "unreadable", str(error)))
        return
    if mark is None:
        return
    for target, digest in mark.manifests.items():
        manifest = directory / target / MANIFEST_NAME
        _compare(manifest, digest, tree, f"{target}/{MANIFEST_NAME}", findings, has_digest)
    _compare(prefix.environments_file(name), mark.environments, tree, "environments", findings, _has_sha256)


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
        expected = expected_files(prefix, manifest)
    except DamageError as error:
        findings.append(Finding(label, "", "unreadable", str(error)))
        return 0
    return _compare_tree(tree, label, manifest, expected, digests, findings)


def _compare_tree(
    tree: Path,
    label: str,
    manifest: Manifest,
    expected: dict[str, InventoryFile],
    digests: Digests,
    findings: list[Finding],
) -> int:
    links = {link.path: link.target for link in manifest.links}
    directories = _directories([*expected, *links])
    base = len(str(tree)) + 1
    to_read = []
    count = 0
    for path, status in _walk(str(tree), directories, label, findings):
        relative = path[base:]
        if relative == MANIFEST_NAME:
            continue
        count += 1
        if stat.S_ISLNK(status.st_mode):
            target = links.pop(relative, None)
            found = os.readlink(path)  # noqa: PTH115 (there are many)
            if target is None:
                findings.append(Finding(label, relative, "extra", "a symbolic link"))
            elif target != found:
                findings.append(Finding(label, relative, "changed", f"links to {found}, not to {target}"))
            elif not os.path.exists(path):  # noqa: PTH110 (there are many)
                findings.append(Finding(label, relative, "missing", f"links to {target}, which is not there"))
            continue
        file = expected.pop(relative, None)
        if file is None:
            findings.append(Finding(label, relative, "extra"))
        elif not stat.S_ISREG(status.st_mode):
            findings.append(Finding(label, relative, "changed", "is no file any more"))
        elif status.st_size != file.size_bytes:
            findings.append(
                Finding(label, relative, "changed", f"{status.st_size:,} bytes, not {file.size_bytes:,}")
            )
        elif stat.S_IMODE(status.st_mode) != file.mode:
            findings.append(
                Finding(
                    label, relative, "changed", f"mode {stat.S_IMODE(status.st_mode):o}, not {file.mode:o}"
                )
            )
        else:
            to_read.append((path, status, file))
    wanted = {path: file.sha256 for path, _, file in to_read}
    for path, digest in digests.digest((path, status) for path, status, _ in to_read):
        if digest != wanted[path]:
            findings.append(
                Finding(label, path[base:], "changed", f"sha256:{digest}, not sha256:{wanted[path]}")
            )
    findings += [Finding(label, path, "missing") for path in sorted([*expected, *links])]
    return count


def _walk(
    tree: str, directories: set[str], label: str, findings: list[Finding]
) -> Iterator[tuple[str, os.stat_result]]:
    yield from walk_files(tree)
    base = len(tree) + 1
    pending = [tree]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    if entry.path[base:] in directories:
                        pending.append(entry.path)
                    elif not any(True for _ in walk_files(entry.path)):  # else its files are named
                        findings.append(Finding(label, entry.path[base:], "extra", "an empty folder"))


def _directories(paths: Iterable[str]) -> set[str]:
    found: set[str] = set()
    for path in paths:
        directory = path.rpartition("/")[0]
        while directory and directory not in found:
            found.add(directory)
            directory = directory.rpartition("/")[0]
    return found


def _compare(
    path: Path,
    digest: str,
    tree: str,
    name: str,
    findings: list[Finding],
    has: Callable[[Path, str], bool],
) -> None:
    try:
        sound = has(path, digest)
    except FileNotFoundError:
        findings.append(Finding(tree, name, "missing"))
    except OSError as error:
        findings.append(Finding(tree, name, "unreadable", str(error.strerror)))
    else:
        if not sound:
            findings.append(Finding(tree, name, "changed", f"does not have sha256:{digest}"))


def _has_sha256(path: Path, sha256: str) -> bool:
    return file_sha256(path) == sha256


def _digest_or_error(path: str) -> str:
    try:
        return file_sha256(path)
    except OSError as error:
        return f"({error.strerror})"
