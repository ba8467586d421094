"""The source tree that checkers read: the workspace, or a copy of the files that Bazel links for a test."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

SUFFIX = ".tree"
"""The suffix that tree.bzl appends to each file name: Bazel would treat a linked BUILD file as a package."""

_SKIPPED = {".git", ".venv", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", "node_modules"}


def lay_out(linked: Path, target: Path) -> None:
    """Copy the files of the `@source_tree` repository to `target` under their real names.

    Checkers resolve symbolic links and look for their configuration beside the original: links would not do.

    Args:
        linked: The repository's folder `files`.
        target: A folder that does not exist yet.
    """
    for folder, _, names in os.walk(linked, followlinks=True):
        destination = target / Path(folder).relative_to(linked)
        destination.mkdir(parents=True, exist_ok=True)
        for name in names:
            shutil.copy(Path(folder, name), destination / name.removesuffix(SUFFIX))


def walk(root: Path) -> Iterator[Path]:
    """Yield the source files below `root`, relative to it and sorted; tree.bzl names what is not source."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            name for name in folders if name not in _SKIPPED and not name.startswith("bazel-")
        )
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink():
                yield path.relative_to(root)
