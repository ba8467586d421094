"""The source tree as the checkers see it: the workspace, or a copy made from what Bazel gives a test."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

SUFFIX = ".tree"
"""What tree.bzl appends to each file's name, so that Bazel takes no linked BUILD file for a package."""

_SKIPPED = {".git", ".venv", "__pycache__", ".mypy_cache", ".ruff_cache", ".pytest_cache", "node_modules"}


def lay_out(linked: Path, target: Path) -> None:
    """Copies the files of the `@source_tree` repository to `target` under their real names.

    They are copies because checkers resolve links, and look for their configuration beside the original.

    Args:
        linked: the repository's folder `files`.
        target: a folder that does not exist yet.
    """
    for folder, _, names in os.walk(linked, followlinks=True):
        destination = target / Path(folder).relative_to(linked)
        destination.mkdir(parents=True, exist_ok=True)
        for name in names:
            shutil.copy(Path(folder, name), destination / name.removesuffix(SUFFIX))


def walk(root: Path) -> Iterator[Path]:
    """Lists the files below `root`, relative to it and sorted, without what is not source (see tree.bzl)."""
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            name for name in folders if name not in _SKIPPED and not name.startswith("bazel-")
        )
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_file() and not path.is_symlink():
                yield path.relative_to(root)
