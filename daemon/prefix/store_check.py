"""Checks what belongs to no generation: shared files, bytecode, inventories, and names of no install.

A store is only named things: each entry says what it is, so that what is not named so does not belong there.
"""

import os
import re
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from daemon.errors import DamageError, NewerFormatError
from daemon.host.durability import is_temporary_name
from daemon.host.tree_walk import walk_tree
from daemon.prefix.bytecode_list import read_bytecode_list
from daemon.prefix.finding import Finding
from daemon.prefix.gpu_architectures import of_architectures, read_architectures
from daemon.prefix.inventory import read_inventory
from daemon.prefix.manifest import MANIFEST_NAME
from daemon.prefix.prefix import Prefix, is_generation_name
from daemon.prefix.tree_label import STORES

_FILE = re.compile(r"(?P<folder>[0-9a-f]{2})/(?P=folder)[0-9a-f]{62}(\.x)?")
_BYTECODE = re.compile(
    r"[^/]+/(?P<two>[0-9a-f]{2})/(?P=two)[0-9a-f]{62}(-[0-9a-f]{64})?\.pyc"
)  # the first had no digest
_INVENTORY = re.compile(r"(?P<wheel>[0-9a-f]{64})\.files\.gz")
_LIST = re.compile(r"(?P<wheel>[0-9a-f]{64})\.(?P<key>.+)\.pyc\.gz")
STRANGER = "no install made it; move it away if nobody needs it"


def check_stores(prefix: Prefix, findings: list[Finding]) -> None:
    """Check the names in the stores, and read what the inventories and lists of bytecode say.

    Args:
        prefix: The prefix.
        findings: Where differences are added.
    """
    findings += strangers(prefix)
    findings += _misplaced(prefix.files, "files", _FILE.fullmatch)
    findings += _misplaced(prefix.bytecode, "pyc", _BYTECODE.fullmatch)
    for name in _names(prefix.wheels):
        try:
            if not _read_record(prefix, name) and not is_temporary_name(name):
                findings.append(Finding("wheels", name, "extra"))
        except NewerFormatError as error:
            findings.append(Finding("wheels", name, "newer", str(error)))
        except DamageError as error:
            findings.append(Finding("wheels", name, "unreadable", str(error)))


def is_of_a_store(finding: Finding) -> bool:
    """Return whether a finding is of a store: of no tree and of no generation."""
    return finding.tree in STORES


def strangers(prefix: Prefix) -> Iterator[Finding]:
    """Yield what is among the generations and toolkits and was made by no install."""
    for name in _names(prefix.generations):
        path = prefix.generations / name
        folder = path.is_dir() and not path.is_symlink()
        if name.startswith(".") or (name == "latest" and path.is_symlink()):
            continue
        if not (folder and is_generation_name(name)) and os.path.lexists(path):  # else it was pruned
            what = "a link, and" if path.is_symlink() else "" if folder else "a file, and"
            yield Finding("monobase", name, "extra", f"{what} {STRANGER}".strip())
    for name in _names(prefix.toolkits):
        path = prefix.toolkits / name
        if is_temporary_name(name):
            continue
        if path.is_symlink() or not path.is_dir():
            if os.path.lexists(path):
                yield Finding("cuda", name, "extra")
        elif not os.path.lexists(path / MANIFEST_NAME) and path.is_dir():
            yield Finding("cuda", name, "extra", f"a folder without {MANIFEST_NAME}: {STRANGER}")


def _read_record(prefix: Prefix, name: str) -> bool:
    """Read a record of a wheel by the name of its file, and return whether it is one.

    Raises:
        DamageError: It is malformed.
        NewerFormatError: A newer release has written it.
    """
    if inventory := _INVENTORY.fullmatch(name):
        read_inventory(prefix, inventory["wheel"])
    elif wheel_sha256 := of_architectures(name):
        read_architectures(prefix, wheel_sha256)
    elif listed := _LIST.fullmatch(name):
        read_bytecode_list(prefix, listed["wheel"], listed["key"])
    else:
        return False
    return True


def _misplaced(store: Path, label: str, is_name: Callable[[str], object]) -> Iterator[Finding]:
    for entry in walk_tree(str(store)):
        if not entry.relative:
            continue
        mode = entry.status.st_mode
        named = is_name(entry.relative) is not None
        if entry.is_folder:
            if named:
                yield Finding(label, entry.relative, "unreadable", "a folder, where a file should be")
        elif named and not stat.S_ISREG(mode):
            yield Finding(label, entry.relative, "unreadable", "a link or pipe, where a file should be")
        elif stat.S_ISLNK(mode) and os.path.isdir(entry.path):  # noqa: PTH112 (there are many)
            yield Finding(label, entry.relative, "extra", "a symbolic link")
        elif not named and not is_temporary_name(entry.relative.rpartition("/")[2]):
            yield Finding(label, entry.relative, "extra")


def _names(directory: Path) -> list[str]:
    try:
        return sorted(os.listdir(directory))  # noqa: PTH208 (names, of which there are many)
    except (FileNotFoundError, NotADirectoryError):
        return []
