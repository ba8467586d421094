"""Everything in the folder of a tree, each once, whatever it is and whatever happens to it meanwhile."""

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
    """Something in a tree.

    Attributes:
        path: Its path.
        relative: The same relative to the tree; empty for the tree itself.
        status: What lstat(2) says of it.
        is_folder: Whether it is a folder.
        files: For a folder that was not to be entered: how many files are in it.
        error: Why it cannot be looked into; empty when it can.
    """

    path: str
    relative: str
    status: os.stat_result
    is_folder: bool
    files: int = 0
    error: str = ""


def walk_tree(tree: str, folders: Container[str]) -> Iterator[Entry]:
    """Give everything in a tree.

    Args:
        tree: Its folder.
        folders: The folders to enter, relative to the tree; others are only counted.

    Yields:
        Each entry, the tree itself first; what goes away meanwhile is left out.
    """
    pending = [("", tree)]
    while pending:
        relative, path = pending.pop()
        try:
            status = os.lstat(path)
            entries = list(os.scandir(path))
        except FileNotFoundError:
            continue
        except OSError as error:
            with suppress(FileNotFoundError):
                told = error.strerror or "cannot be read"
                yield Entry(path, relative, os.lstat(path), True, error=told)
            continue
        yield Entry(path, relative, status, True)
        for entry in entries:
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


def _count(folder: str) -> int:
    return sum(len(files) for _, _, files in os.walk(folder))
