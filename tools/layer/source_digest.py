"""Computes the digests of files and of source folders, as a lock names them."""

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

# Written by tools into a source folder, and not part of the source.
_SKIPPED = re.compile(
    r"\.git|\.hg|\.venv|venv|\.tox|\.nox|__pycache__|\.(mypy|ruff|pytest)_cache|build|dist|.*\.egg-info|node_modules"
)


def file_digest(path: Path) -> str:
    """Return the SHA-256 of a file, 64 lower-case hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def path_label(path: Path, lock_folder: Path) -> str:
    """Return a path in the words of a lock: relative, with the digest of its content."""
    shown = Path(os.path.relpath(path, lock_folder)).as_posix()
    digest = file_digest(path) if path.is_file() else _tree_digest(path)
    return f"{shown if shown.startswith('.') else f'./{shown}'} sha256:{digest}"


def _tree_digest(folder: Path) -> str:
    """Return the digest of the names, modes and contents of a project's files, without what tools write."""
    digest = hashlib.sha256()
    for path in sorted(_files(folder), key=lambda path: path.relative_to(folder).as_posix()):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            digest.update(f"link {name}\0{path.readlink()}\0".encode())
        else:
            digest.update(f"file {name}\0{file_digest(path)}\0".encode())
    return digest.hexdigest()


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if _SKIPPED.fullmatch(path.name):
            continue
        if path.is_dir() and not path.is_symlink():
            yield from _files(path)
        elif path.suffix != ".pyc":
            yield path
