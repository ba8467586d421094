"""The managed interpreters below `uv/python`: which there are, and which an environment runs on."""

import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from daemon.errors import DamageError, NewerFormatError
from daemon.host.durability import sync_directory, sync_filesystem, write_file
from daemon.host.file_content import file_sha256
from daemon.host.modes import make_folder
from daemon.host.tree_walk import walk_files
from daemon.prefix.finding import Finding
from daemon.prefix.inventory import InventoryFile
from daemon.prefix.manifest import (
    MANIFEST_NAME,
    Link,
    Manifest,
    content_digest,
    format_manifest,
    read_manifest,
)
from daemon.prefix.mending import mend_tree
from daemon.prefix.prefix import Prefix
from daemon.prefix.tree_check import Digests, compare_tree

PROGRAM = "bin/python"
_JOBS = min(4, len(os.sched_getaffinity(0)))


def interpreter_names(directory: Path, version: str) -> list[str]:
    """Return the names that interpreters of a full version have in a folder, complete or not, in order.

    Args:
        directory: `uv/python`, or the folder in which one is made.
        version: Full version.
    """
    return sorted(
        path.name
        for path in directory.glob(f"cpython-{version}-*")
        if path.is_dir() and not path.is_symlink()
    )


def interpreter_version(name: str) -> str:
    """Return the full version of an interpreter, by its name such as `cpython-3.11.10-linux-x86_64-gnu`."""
    return name.split("-")[1].partition("+")[0]


def program_of(tree: Path) -> Path:
    """Return the program that an environment runs, its link followed once.

    Raises:
        OSError: There is no such link.
    """
    return Path(os.path.normpath(tree / "bin" / (tree / PROGRAM).readlink()))


def interpreter_names_of(prefix: Prefix, tree: Path) -> list[str]:
    """Return the names of the interpreters that an environment runs on: one, if it is undamaged."""
    targets = set()
    with suppress(OSError):  # named where the environment itself is compared
        targets.add(os.readlink(tree / PROGRAM))  # noqa: PTH115 (the text is meant, not a path)
    with suppress(DamageError, NewerFormatError):
        targets |= {link.target for link in read_manifest(tree / MANIFEST_NAME).links if link.path == PROGRAM}
    paths = {Path(os.path.normpath(tree / "bin" / target)) for target in targets}
    inside = [path.relative_to(prefix.uv_python) for path in paths if path.is_relative_to(prefix.uv_python)]
    return sorted({path.parts[0] for path in inside if len(path.parts) > 1})


@contextmanager
def interpreter_staging(prefix: Prefix) -> Iterator[Path]:
    """Provide the folder in which an interpreter is made, beside those that are complete.

    Args:
        prefix: The prefix, of which this process is the one writer.

    Yields:
        The folder, empty; it is removed at the end of the block.
    """
    staging = prefix.uv_python_staging
    shutil.rmtree(staging, ignore_errors=True)
    make_folder(staging)
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def list_interpreter(tree: Path) -> Manifest:
    """List all files and links of an interpreter, as a manifest does."""
    files, links = [], []
    base = len(str(tree)) + 1
    for path, status in walk_files(str(tree)):
        relative = path[base:]
        if stat.S_ISLNK(status.st_mode):
            links.append(Link(relative, os.readlink(path)))  # noqa: PTH115 (there are many)
        else:
            mode = stat.S_IMODE(status.st_mode)
            files.append(InventoryFile(relative, file_sha256(path), status.st_size, mode))
    return Manifest(tree.name, content_digest(()), files=tuple(files), links=tuple(links))


def write_interpreter_manifest(prefix: Prefix, name: str, manifest: Manifest) -> None:
    """Mark an interpreter, which is on the disk, as complete."""
    write_file(prefix.interpreter_manifest(name), format_manifest(manifest))


def publish_interpreter(prefix: Prefix, made: Path, manifest: Manifest) -> None:
    """Publish an interpreter, or repair the one that has its name, which environments use.

    Args:
        prefix: The prefix, of which this process is the one writer.
        made: The interpreter, on the disk, in the folder of `interpreter_staging`.
        manifest: What it holds.
    """
    final = prefix.interpreter(made.name)
    if final.is_symlink() or not final.is_dir():
        final.unlink(missing_ok=True)
        made.rename(final)
    else:
        found: list[Finding] = []
        expected = {file.path: file for file in manifest.files}
        compare_tree(prefix, final, manifest, expected, Digests(_JOBS), found, empty_folders=True)
        mend_tree(final, made, found)
        sync_filesystem(prefix.uv_python)
    sync_directory(prefix.uv_python)
    write_interpreter_manifest(prefix, made.name, manifest)


def is_of_an_earlier_release(mark: Path) -> bool:
    """Return whether the manifest of an interpreter is the empty mark that earlier releases wrote."""
    try:
        return mark.lstat().st_size == 0
    except FileNotFoundError:
        return False
