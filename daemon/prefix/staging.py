"""The staging folder: where everything is made before a rename publishes it.

It exists only while a writer installs, repairs or prunes. What a writer that was killed left there, and under
temporary names elsewhere, is removed by the next one before it begins.
"""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from daemon.host.durability import WRITER_SUFFIX, remove_temporary_files, write_new_file
from daemon.host.modes import FILE_MODE, FOLDER_MODE, make_folder, make_new_folder
from daemon.host.tree_walk import walk_tree
from daemon.prefix.mending import remove_anything
from daemon.prefix.prefix import Prefix
from daemon.prefix.progress_file import remove_progress
from daemon.prefix.store_mounts import stores
from gens.generation import Generation, Target


def begin_staging(prefix: Prefix) -> None:
    """Make the staging folder.

    Raises:
        FileExistsError: There is one: `remove_leftovers` was not called.
    """
    make_new_folder(prefix.staging)


def end_staging(prefix: Prefix, *, ignore_errors: bool = False) -> None:
    """Remove the staging folder with everything in it.

    Args:
        prefix: The prefix.
        ignore_errors: Whether to leave what cannot be removed to the next writer.
    """
    shutil.rmtree(prefix.staging, ignore_errors=ignore_errors)


def staged_tree(prefix: Prefix, generation: Generation, target: Target) -> Path:
    """Return the folder in which an environment or toolkit is made."""
    return prefix.staging / f"{generation.directory_name}.{target.name}"


def temporary_path(directory: Path) -> Path:
    """Return a path in a folder that nothing has."""
    return directory / secrets.token_hex(8)


def remove_leftovers(prefix: Prefix, say: Callable[[str], None]) -> None:
    """Remove what a killed writer left; the lock tells that none runs.

    What the daemon writes without that lock has temporary names of its own (`daemon/host/durability.py`).

    Args:
        prefix: The prefix, of which this process is the one writer.
        say: Told when there is a staging folder.
    """
    if os.path.lexists(prefix.staging):
        say("removing what an earlier install, which did not end, left in staging")
        remove_anything(prefix.staging)
    remove_progress(prefix)
    shutil.rmtree(prefix.uv_python_staging, ignore_errors=True)
    generations = [prefix.generation(name) for name in prefix.installed_generations()]
    for directory in (prefix.generations, *stores(prefix), *generations):
        remove_temporary_files(directory, WRITER_SUFFIX)


def discard(path: Path) -> None:
    """Remove a folder of the staging folder; what cannot be removed goes with the staging folder."""
    shutil.rmtree(path, ignore_errors=True)


@contextmanager
def private_folder(prefix: Prefix) -> Iterator[Path]:
    """Provide a folder in the staging folder that no model can open; it lasts as long as the block."""
    folder = temporary_path(prefix.staging)
    folder.mkdir(0o700)
    try:
        yield folder
    finally:
        discard(folder)


def make_link(path: Path, target: str) -> None:
    """Make a symbolic link in a staged tree, and the folders above it.

    Raises:
        FileExistsError: Something has the name, or a file is where its folder must be.
        NotADirectoryError: A file is where a folder above that must be.
    """
    make_folder(path.parent)
    path.symlink_to(target)


def add_file(path: Path, content: bytes, mode: int = FILE_MODE) -> None:
    """Write a file of a staged tree that does not exist.

    Args:
        path: The file.
        content: All of it.
        mode: Its permission bits.
    """
    write_new_file(path, content)
    path.chmod(mode)


def set_file(path: Path, content: bytes, mode: int = FILE_MODE) -> None:
    """Replace a file of a staged tree by a new inode: the old one may have links elsewhere.

    Args:
        path: The file.
        content: All of the new file.
        mode: Its permission bits.
    """
    path.unlink()
    add_file(path, content, mode)


def set_link(path: Path, target: str) -> None:
    """Replace a file or link of a staged tree by a symbolic link."""
    path.unlink()
    path.symlink_to(target)


def remove_folders(tree: Path, name: str) -> None:
    """Remove all folders of a name in a tree."""
    found = [entry.path for entry in walk_tree(str(tree), folders_last=True) if entry.is_folder]
    for path in found:
        if path.rpartition("/")[2] == name:
            shutil.rmtree(path)


def open_folders(tree: Path) -> None:
    """Set the mode of each folder of a staged tree."""
    for entry in walk_tree(str(tree)):
        if entry.is_folder:
            os.chmod(entry.path, FOLDER_MODE)  # noqa: PTH101 (there are many)


def remove_empty_folders(tree: Path) -> None:
    """Remove the folders of a staged tree that hold no file, which no manifest can name."""
    for entry in walk_tree(str(tree), folders_last=True):
        if entry.is_folder and not os.listdir(entry.path):  # noqa: PTH208 (there are many)
            os.rmdir(entry.path)  # noqa: PTH106 (there are many)
