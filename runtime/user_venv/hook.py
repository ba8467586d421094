"""Writes the module that adds the base's packages at each start of the venv's Python."""

from pathlib import Path

from .files import write_file
from .layout import LIBRARY
from .shared import shared_packages

HOOK = "_monobase_base.py"
HOOK_PATH = "monobase.pth"

_HOOK_TEXT = '''\
"""Written by monobase: lets this venv see the packages of the environment below it, after its own."""

import os
import site
import sys

PREPARED_FOR = {base!r}
LIBRARY = {library!r}
# Packages of the environment that several distributions share, or that have no __init__.py.
SHARED = {shared!r}

# A process that activate.sh has activated sees the environment that the rest of its variables are for, though
# the venv may have been prepared for another one since.
_library = os.path.join(PREPARED_FOR, LIBRARY)
if os.environ.get("VIRTUAL_ENV") == sys.prefix:
    _activated = os.path.join(os.environ.get("MONOBASE_ENVIRONMENT") or PREPARED_FOR, LIBRARY)
    if os.path.isdir(_activated):
        _library = _activated


class SharedPackages:
    """Joins the parts of a shared package, which Python does only where none of them has an __init__.py."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name not in SHARED:
            return None
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.origin is None or spec.submodule_search_locations is None:
            return spec
        found = list(spec.submodule_search_locations)
        base = os.path.join(_library, *name.split("."))
        parts = []
        for entry in sys.path if path is None else path:
            part = os.path.join(entry, name.rpartition(".")[2])
            known = part in found or part == base
            if part not in parts and os.path.isdir(part):
                if known or not os.path.exists(os.path.join(part, "__init__.py")):
                    parts.append(part)
        spec.submodule_search_locations[:] = parts + [part for part in found if part not in parts]
        return spec


if SHARED:
    _names = [getattr(finder, "__name__", "") for finder in sys.meta_path]
    _place = _names.index("PathFinder") if "PathFinder" in _names else len(_names)
    sys.meta_path.insert(_place, SharedPackages)
site.addsitedir(_library)
'''


def write_hook(venv: Path, base: Path) -> None:
    """Write the module and the `.pth` file that imports it.

    Args:
        venv: The venv.
        base: The environment.
    """
    shared = shared_packages(base / LIBRARY)
    # No placeholder but these stands in the text: str.format would choke on its braces.
    text = _HOOK_TEXT
    for name, value in (("base", str(base)), ("library", LIBRARY), ("shared", shared)):
        text = text.replace(f"{{{name}!r}}", ascii(value))
    write_file(venv / LIBRARY / HOOK, text)
    write_file(venv / LIBRARY / HOOK_PATH, f"import {HOOK.partition('.')[0]}\n")
