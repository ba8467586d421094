"""Compares the published trees of a prefix with those of an undisturbed install.

This reads folders, links and bytes only. It knows no manifest, so that it can find what `verify` would miss.
"""

import gzip
import hashlib
import json
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from daemon.prefix.prefix import Prefix

Tree = dict[str, str]
_GENERATION = re.compile(r"g[0-9]{5}")


@dataclass(frozen=True, slots=True)
class Reference:
    """The result of an undisturbed install of the same generations.

    Attributes:
        trees: Content of each environment and toolkit, by its path under the prefix.
        shared: Digest of each file of the shared stores, by its path under the prefix.
        inodes: How many inodes the files of all environments and toolkits take.
    """

    trees: dict[str, Tree]
    shared: Tree
    inodes: int


def take_reference(prefix: Prefix) -> Reference:
    """Read a prefix whose generations are all sealed."""
    return Reference(
        {str(path.relative_to(prefix.root)): read_tree(path) for path in tree_paths(prefix)},
        read_shared(prefix),
        count_inodes(prefix),
    )


def tree_paths(prefix: Prefix) -> Iterator[Path]:
    """Return the folder of each environment and toolkit that has a final name."""
    for directory in [*map(prefix.generation, prefix.installed_generations()), prefix.toolkits]:
        for path in sorted(directory.iterdir()) if directory.exists() else ():
            if path.is_dir() and not path.is_symlink():
                yield path


def read_tree(directory: Path) -> Tree:
    """Return kind, mode and content of everything below a folder, empty folders included."""
    tree = {}
    for parent, directories, files in os.walk(directory):
        for name in [*directories, *files]:
            path = Path(parent, name)
            tree[str(path.relative_to(directory))] = _describe(path)
    return tree


def read_shared(prefix: Prefix) -> Tree:
    """Return the contents of the stores: bytecode, inventories, and files by digest."""
    return {
        str(path.relative_to(prefix.root)): _describe(path)
        for store in (prefix.bytecode, prefix.wheels, prefix.files)
        for path in store.rglob("*")
        if not path.is_dir() and not path.name.startswith(".")
    }


def count_inodes(prefix: Prefix) -> int:
    """Count the files of all environments and toolkits, each inode once."""
    return len(
        {
            path.lstat().st_ino
            for tree in tree_paths(prefix)
            for path in tree.rglob("*")
            if stat.S_ISREG(path.lstat().st_mode)
        }
    )


def incomplete(prefix: Prefix, reference: Reference) -> list[str]:
    """Name everything that stands under a final name and is not whole.

    Args:
        prefix: A prefix on which installs of the same generations ran, ended in whatever way.
        reference: What they should have made.

    Returns:
        A line for each; none when all is well.
    """
    found = []
    for path in tree_paths(prefix):
        name = str(path.relative_to(prefix.root))
        found += [f"{name}: {line}" for line in _differences(read_tree(path), reference.trees.get(name, {}))]
    for name, content in read_shared(prefix).items():
        if reference.shared.get(name) != content:
            found.append(f"{name}: is {content}, not {reference.shared.get(name)}")
    for name in prefix.installed_generations():
        found += _incomplete_generation(prefix, name, reference)
    if os.path.lexists(prefix.latest):
        target = os.readlink(prefix.latest)  # noqa: PTH115 (the text is meant, not a path)
        if not _GENERATION.fullmatch(target) or not prefix.sealed_mark(target).exists():
            found.append(f"latest: names {target}, which is not sealed")
    if prefix.generations.exists():
        for entry in prefix.generations.iterdir():
            known = _GENERATION.fullmatch(entry.name) or entry.name == "latest"
            if not known and not entry.name.startswith("."):
                found.append(f"monobase/{entry.name}: has no business there")
    return found


def leftovers(prefix: Prefix) -> list[str]:
    """Name what an install that has ended leaves nowhere: staging, temporary names, half-unpacked wheels."""
    return [
        str(path.relative_to(prefix.root))
        for path in prefix.root.rglob("*")
        if path.name == ".staging" or path.name.startswith(".tmp") or path.name.endswith(".tmp")
    ] + [
        str(path.relative_to(prefix.root))
        for store in (prefix.files, prefix.bytecode, prefix.wheels)
        for path in store.rglob(".*")
    ]


def _incomplete_generation(prefix: Prefix, name: str, reference: Reference) -> Iterator[str]:
    directory = prefix.generation(name)
    for entry in directory.iterdir():
        if entry.is_symlink() and not entry.is_dir():
            yield f"{name}/{entry.name}: links to {entry.readlink()}, which is not there"
    listed = prefix.environments_file(name)
    lines = [line.split(" ") for line in listed.read_text().splitlines()] if listed.exists() else []
    if lines and lines[0] != ["monobase-environments", "1"]:
        yield f"{name}/environments: begins with {lines[0]}"
    for line in lines:
        ready = line[0] in {"environment", "cuda", "cudnn"} and line[2] == "ready"
        if ready and not (directory / line[1]).is_dir():
            yield f"{name}/environments: {line[1]} is called ready and is not there"
    mark = prefix.sealed_mark(name)
    if mark.exists():
        expected = {Path(path).name for path in reference.trees if path.startswith(f"monobase/{name}/")}
        for difference in _differences_of_mark(mark, expected):
            yield f"{name}/{difference}"
        if lines[1][2] != "sealed":
            yield f"{name}/.done: stands, and environments says {lines[1][2]}"


def _differences_of_mark(mark: Path, expected: set[str]) -> Iterator[str]:
    manifests = json.loads(mark.read_bytes())["manifests"]
    missing = sorted(target for target in {*manifests, *expected} if not (mark.parent / target).is_dir())
    if missing:
        yield f".done: stands, and {missing} do not"
    for target, sha256 in manifests.items():
        text = gzip.decompress((mark.parent / target / ".manifest").read_bytes())
        if hashlib.sha256(text).hexdigest() != sha256:
            yield f"{target}/.manifest: is not the one that was sealed"


def _differences(found: Tree, expected: Tree) -> Iterator[str]:
    for path in sorted(found.keys() | expected.keys()):
        if found.get(path) != expected.get(path):
            yield f"{path} is {found.get(path)}, not {expected.get(path)}"


def _describe(path: Path) -> str:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return f"link {path.readlink()}"
    if stat.S_ISDIR(status.st_mode):
        return f"folder {stat.S_IMODE(status.st_mode):o}"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"file {stat.S_IMODE(status.st_mode):o} {status.st_size} {digest}"
