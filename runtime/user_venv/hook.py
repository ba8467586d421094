"""Writes the module that adds the base's packages at each start of the venv's Python."""

from pathlib import Path

from .files import write_file
from .layout import LIBRARY
from .overlay_module import HOOK, HOOK_PATH, overlay_module, overlay_path
from .shared import shared_packages


def write_hook(venv: Path, base: Path) -> None:
    """Write the module and the `.pth` file that imports it.

    Args:
        venv: The venv.
        base: The environment.
    """
    # The venv's own __init__.py runs, as it always has: its installer may change it at any time.
    shared = dict.fromkeys(shared_packages(base / LIBRARY), False)
    write_file(venv / LIBRARY / HOOK, overlay_module(base, LIBRARY, shared))
    write_file(venv / LIBRARY / HOOK_PATH, overlay_path())
