"""The managed interpreters below `uv/python`: which there are, and which an environment runs on."""

import os
from contextlib import suppress
from pathlib import Path

from daemon.errors import DamageError, NewerFormatError
from daemon.prefix.manifest import MANIFEST_NAME, read_manifest
from daemon.prefix.prefix import Prefix

PROGRAM = "bin/python"


def interpreter_names(prefix: Prefix, version: str) -> list[str]:
    """Give the names below `uv/python` that a full version has, whether or not they are complete."""
    return sorted(
        path.name
        for path in prefix.uv_python.glob(f"cpython-{version}-*")
        if path.is_dir() and not path.is_symlink()
    )


def interpreter_names_of(prefix: Prefix, tree: Path) -> list[str]:
    """Give the names below `uv/python` of the interpreters that an environment runs on: one, if undamaged."""
    targets = set()
    with suppress(OSError):  # named where the environment itself is compared
        targets.add(os.readlink(tree / PROGRAM))  # noqa: PTH115 (the text is meant, not a path)
    with suppress(DamageError, NewerFormatError):
        targets |= {link.target for link in read_manifest(tree / MANIFEST_NAME).links if link.path == PROGRAM}
    paths = {Path(os.path.normpath(tree / "bin" / target)) for target in targets}
    inside = [path.relative_to(prefix.uv_python) for path in paths if path.is_relative_to(prefix.uv_python)]
    return sorted({path.parts[0] for path in inside if len(path.parts) > 1})
