"""Finds what no remaining generation uses: trees, inventories, lists of bytecode, bytecode, contents.

What is in use is read from manifests. Without one of them nothing is known to be unused, so reading it fails.
"""

import os
import re
from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from daemon.errors import DamageError
from daemon.host.removal import LinkCount, walk
from daemon.prefix.bytecode_list import bytecode_list_path, read_bytecode_list
from daemon.prefix.generation import is_strange_folder, list_generation
from daemon.prefix.interpreter_folder import interpreter_names, interpreter_names_of
from daemon.prefix.manifest import MANIFEST_NAME, read_manifest
from daemon.prefix.prefix import Prefix

_TOOLKIT = re.compile(r"cud(a|nn)-[0-9]")
_INTERPRETER = re.compile(r"cpython-[0-9]+\.[0-9]")
_BYTECODE_KEY = re.compile(r"cpython-[0-9]")
_CONTENT = re.compile(r"[0-9a-f]{64}(\.x)?")


@dataclass(slots=True)
class Used:
    """The trees, wheels and bytecode that are in use.

    Attributes:
        toolkits: Names below `cuda/`.
        interpreters: Names below `uv/python/`.
        wheels: Digests of wheels.
        lists: Lists of bytecode.
        bytecode: Shared bytecode, as `KEY/SOURCE-DIGEST`.
    """

    toolkits: set[str] = field(default_factory=set)
    interpreters: set[str] = field(default_factory=set)
    wheels: set[str] = field(default_factory=set)
    lists: set[Path] = field(default_factory=set)
    bytecode: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Unused:
    """One tree or record that nothing uses.

    Attributes:
        kind: Whether it is a tree, or something that belongs to one or to a store.
        name: Its name.
        path: Its path.
    """

    kind: Literal["toolkit", "interpreter", "record"]
    name: str
    path: str


def read_used(
    prefix: Prefix,
    remaining: Iterable[str],
    wheels: Iterable[str],
    pythons: Iterable[str],
    without: Set[str] = frozenset(),
) -> Used:
    """Read what is in use.

    Args:
        prefix: The prefix.
        remaining: Names of the generations that stay.
        wheels: Digests of the wheels that are needed whatever stays.
        pythons: Full versions of the interpreters that are needed whatever stays.
        without: Environments and toolkits of these generations that do not stay, by label such as
            `g00003/python3.11`.

    Returns:
        What these use.

    Raises:
        DamageError: A manifest or a list of bytecode cannot be read.
        NewerFormatError: A newer release has written one.
        OSError: A generation cannot be listed.
    """
    used = Used(wheels=set(wheels))
    for version in pythons:
        used.interpreters |= set(interpreter_names(prefix.uv_python, version))
    for name in remaining:
        _use_generation(prefix, name, used, without)
    for path in used.lists:
        used.bytecode |= bytecode_of(prefix, path)
    return used


def read_uses(prefix: Prefix, name: str) -> dict[str, Used]:
    """Read what each environment of a generation uses, but for the bytecode, which follows from its lists.

    Args:
        prefix: The prefix.
        name: Name of the generation.

    Returns:
        What it uses, by the name of the environment; under the empty name, the toolkits.

    Raises:
        DamageError: A manifest cannot be read.
        NewerFormatError: A newer release has written one.
        OSError: The generation cannot be listed.
    """
    uses = {"": Used()}
    for entry in list_generation(prefix, name):
        if entry.kind == "link":
            uses[""].toolkits.add(Path(entry.link).name)
        elif entry.kind == "folder" and not is_strange_folder(entry.path):
            uses[entry.name] = Used()
            _use_environment(prefix, entry.path, uses[entry.name])
    return uses


def unused_trees(prefix: Prefix, used: Used) -> Iterator[Unused]:
    """Yield the toolkits and interpreters that nothing uses, and what belongs to them.

    What no install made stays, whoever put it there: `verify` reports it.
    """
    for entry in _entries(prefix.toolkits):
        made = _TOOLKIT.match(entry.name) and os.path.lexists(f"{entry.path}/{MANIFEST_NAME}")
        if entry.is_dir(follow_symlinks=False) and made and entry.name not in used.toolkits:
            yield Unused("toolkit", entry.name, entry.path)
    interpreters = set()
    for entry in _entries(prefix.uv_python):
        managed = entry.is_dir(follow_symlinks=False) and _INTERPRETER.match(entry.name)
        if managed and entry.name not in used.interpreters:
            interpreters.add(entry.name)
            yield Unused("interpreter", entry.name, entry.path)
    for entry in _entries(prefix.uv_python):  # their manifests, and uv's links to them
        name = os.readlink(entry.path) if entry.is_symlink() else entry.name  # noqa: PTH115
        of_it = Path(name).name.removeprefix(".").removesuffix(".complete")
        if of_it in interpreters and not entry.is_dir(follow_symlinks=False):
            yield Unused("record", entry.name, entry.path)


def unused_records(prefix: Prefix, used: Used) -> Iterator[Unused]:
    """Yield the inventories, lists of bytecode and shared bytecode that nothing uses."""
    for entry in _entries(prefix.wheels):
        if entry.is_dir(follow_symlinks=False):
            continue
        if entry.name.endswith(".pyc.gz"):
            in_use = Path(entry.path) in used.lists
        else:
            in_use = entry.name.partition(".")[0] in used.wheels
        if not in_use:
            yield Unused("record", entry.name, entry.path)
    keys = {name.partition("/")[0] for name in used.bytecode}
    for entry in _entries(prefix.bytecode):
        if entry.is_dir(follow_symlinks=False) and not _BYTECODE_KEY.match(entry.name):
            continue
        if entry.name not in keys:
            yield Unused("record", entry.name, entry.path)
            continue
        for path, _, is_folder in walk(entry.path):
            if not is_folder and f"{entry.name}/{Path(path).stem}" not in used.bytecode:
                yield Unused("record", Path(path).name, path)


def unused_contents(prefix: Prefix, count: LinkCount) -> Iterator[Unused]:
    """Yield the contents that have no other link.

    Args:
        prefix: The prefix.
        count: The links that will be gone by then; whoever removes a content takes its link away from it.
    """
    for path, status, is_folder in walk(str(prefix.files)):
        name = path.rpartition("/")[2]
        if not is_folder and _CONTENT.fullmatch(name) and count.links_left(status) == 1:
            yield Unused("record", name, path)


def content_links(prefix: Prefix) -> dict[tuple[int, int], tuple[str, os.stat_result]]:
    """Return the path and status of each content, by its device and inode."""
    return {
        (status.st_dev, status.st_ino): (path, status)
        for path, status, is_folder in walk(str(prefix.files))
        if not is_folder and _CONTENT.fullmatch(path.rpartition("/")[2])
    }


def _use_generation(prefix: Prefix, name: str, used: Used, without: Set[str]) -> None:
    try:
        entries = list_generation(prefix, name)
    except FileNotFoundError:
        return  # it was pruned meanwhile
    for entry in entries:
        if f"{name}/{entry.name}" in without:
            continue
        if entry.kind == "link":
            used.toolkits.add(Path(entry.link).name)
        elif entry.kind == "folder" and not is_strange_folder(entry.path):
            _use_environment(prefix, entry.path, used)


def _use_environment(prefix: Prefix, tree: Path, used: Used) -> None:
    try:
        manifest = read_manifest(tree / MANIFEST_NAME)
    except DamageError:
        if os.path.lexists(tree):
            raise
        return  # it was evicted meanwhile, by one rename
    used.wheels |= {part.wheel_sha256 for part in manifest.wheels}
    used.lists |= {bytecode_list_path(prefix, part.wheel_sha256, part.key) for part in manifest.bytecode}
    used.interpreters |= set(interpreter_names_of(prefix, tree))


def bytecode_of(prefix: Prefix, path: Path) -> set[str]:
    """Return the bytecode of a list, as `KEY/SOURCE-DIGEST`; none if the list is gone.

    Raises:
        DamageError: It cannot be read.
        NewerFormatError: A newer release has written it.
    """
    wheel_sha256, key = path.name.removesuffix(".pyc.gz").split(".", 1)
    files = read_bytecode_list(prefix, wheel_sha256, key) or ()
    return {f"{key}/{file.source_sha256}-{file.sha256}" for file in files}


def wheel_records(prefix: Prefix) -> dict[str, list[str]]:
    """Return the paths of the inventory of each wheel, and of what else is recorded of it, by its digest."""
    found: dict[str, list[str]] = {}
    for entry in _entries(prefix.wheels):
        if not entry.is_dir(follow_symlinks=False) and not entry.name.endswith(".pyc.gz"):
            found.setdefault(entry.name.partition(".")[0], []).append(entry.path)
    return found


def _entries(directory: Path) -> list[os.DirEntry[str]]:
    try:
        return sorted(os.scandir(directory), key=lambda entry: entry.name)
    except FileNotFoundError:
        return []
