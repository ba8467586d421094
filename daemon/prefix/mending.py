"""Repairs single files of an installed tree by renames, never by writing to a file.

Whoever has the damaged file open, or mapped, keeps it; every other name of it stays as it is.
"""

import os
import secrets
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

from daemon.host.modes import FOLDER_MODE, make_folder
from daemon.prefix.finding import Finding


def mend_tree(tree: Path, made: Path, findings: Iterable[Finding]) -> None:
    """Repair a tree from the same tree, made again beside it.

    Args:
        tree: The tree.
        made: The same tree, made again on the same mount; files of it are moved.
        findings: How they differ.
    """
    findings = list(findings)
    for finding in findings:
        if finding.kind == "extra":
            remove_extra(tree, finding.path)
    for finding in findings:
        if finding.kind in {"changed", "missing"} and finding.path:
            source = made / finding.path
            if source.is_dir() and not source.is_symlink():
                restore_folder(tree, finding.path)
            elif os.path.lexists(source):
                put_in_place(source, tree, finding.path)


def put_in_place(source: Path, tree: Path, relative: str) -> None:
    """Rename a file or link to its place in a tree.

    Args:
        source: What goes there, on the same mount.
        tree: The tree.
        relative: Its place, relative to the tree.
    """
    final = tree / relative
    _replace_by_folders(tree, relative.rpartition("/")[0])
    if final.is_dir() and not final.is_symlink():
        shutil.rmtree(final)
    source.rename(final)


def put_link(staging: Path, tree: Path, relative: str, target: str) -> bool:
    """Put a symbolic link in its place in a tree.

    Args:
        staging: The staging folder, on the same mount.
        tree: The tree.
        relative: Its place, relative to the tree.
        target: Its text.

    Returns:
        Whether there was another one, or none; one whose target is missing is right by itself.
    """
    link = tree / relative
    if link.is_symlink() and os.readlink(link) == target:  # noqa: PTH115 (the text is meant)
        return False
    staged = staging / secrets.token_hex(8)
    staged.symlink_to(target)
    put_in_place(staged, tree, relative)
    return True


def restore_folder(tree: Path, relative: str) -> None:
    """Restore a folder in a tree: that it is one, its mode, and as root its owner; not what is in it.

    Args:
        tree: The tree, which exists.
        relative: The folder, relative to the tree; empty for the tree itself.
    """
    _replace_by_folders(tree, relative)
    path = tree / relative
    if path.lstat().st_uid != os.geteuid() and os.geteuid() == 0:
        os.chown(path, 0, -1, follow_symlinks=False)
    path.chmod(FOLDER_MODE)


def remove_anything(path: Path) -> None:
    """Remove a file, a link, or a folder with all that is in it; it may have gone already."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def make_real_folder(path: Path) -> None:
    """Make a folder where a link, or anything else, may have its name: what is written would go elsewhere."""
    if path.is_symlink() or not path.is_dir():
        remove_anything(path)
        make_folder(path)


def remove_extra(tree: Path, relative: str) -> None:
    """Remove what no manifest names, and the folders that are empty without it.

    Args:
        tree: The tree.
        relative: What to remove, relative to the tree; it may have gone already.
    """
    path = tree / relative
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        try:
            path.unlink()
        except (FileNotFoundError, NotADirectoryError):
            return
    parent = path.parent
    while parent != tree and not any(parent.iterdir()):
        parent.rmdir()
        parent = parent.parent


def _replace_by_folders(tree: Path, relative: str) -> None:
    """Make the folders on a path, in place of files and of links, which may lead out of the tree."""
    path = tree
    for part in [part for part in relative.split("/") if part]:
        path /= part
        try:
            status = path.lstat()
        except FileNotFoundError:
            path.mkdir()
        else:
            if stat.S_ISDIR(status.st_mode):
                continue
            path.unlink()
            path.mkdir()
        path.chmod(FOLDER_MODE)
