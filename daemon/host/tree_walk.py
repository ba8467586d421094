"""Walks over a tree: yields each entry once, whatever it is and whatever happens to it meanwhile.

Each walk over the prefix is one of this module, so that all agree on what vanishes, on what cannot be read
and on symbolic links.
"""

import os
from collections.abc import Container, Iterator
from contextlib import suppress
from dataclasses import dataclass


class _All(Container[str]):
    def __contains__(self, _: object) -> bool:
        return True


ALL_FOLDERS: Container[str] = _All()


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, link or folder of a tree.

    Attributes:
        path: Its path.
        relative: Its path relative to the tree; empty for the tree itself.
        status: Its status, from lstat(2).
        is_folder: Whether it is a folder.
        files: For a folder that is not entered: the number of files in it.
        failure: Why its content cannot be listed; None when it can.
    """

    path: str
    relative: str
    status: os.stat_result
    is_folder: bool
    files: int = 0
    failure: OSError | None = None


def walk_tree(
    tree: str,
    folders: Container[str] = ALL_FOLDERS,
    *,
    folders_last: bool = False,
    without: Container[str] = (),
) -> Iterator[Entry]:
    """Yield everything in a tree, the entries of a folder in order of their names.

    Args:
        tree: Its folder.
        folders: The folders to enter, relative to the tree; the files of others are only counted.
        folders_last: Whether a folder comes after all that is in it, not before.
        without: The paths of folders that are left out, with all below them.

    Yields:
        Each entry, the tree itself among them; not what vanishes meanwhile.
    """
    pending: list[tuple[str, str] | Entry] = [("", tree)]
    while pending:
        item = pending.pop()
        if isinstance(item, Entry):
            yield item
            continue
        relative, path = item
        try:
            status = os.lstat(path)
            listed = [entry for entry in os.scandir(path) if entry.path not in without]
        except FileNotFoundError:
            continue
        except OSError as error:
            with suppress(FileNotFoundError):
                yield Entry(path, relative, os.lstat(path), True, failure=error)
            continue
        folder = Entry(path, relative, status, True)
        if folders_last:
            pending.append(folder)
        else:
            yield folder
        for entry in sorted(listed, key=lambda entry: entry.name):
            below = f"{relative}/{entry.name}" if relative else entry.name
            try:
                status = entry.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue
            if not entry.is_dir(follow_symlinks=False):
                yield Entry(entry.path, below, status, False)
            elif below in folders:
                pending.append((below, entry.path))
            else:
                yield Entry(entry.path, below, status, True, files=_count(entry.path))


def walk_files(tree: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the path and the status of each entry of a tree that is not a folder.

    Raises:
        OSError: The tree, or a folder in it, cannot be listed.
    """
    os.lstat(tree)
    for entry in walk_tree(tree):
        if entry.failure is not None:
            raise entry.failure
        if not entry.is_folder:
            yield entry.path, entry.status


def _count(folder: str) -> int:
    return sum(not entry.is_folder for entry in walk_tree(folder))
