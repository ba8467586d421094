"""The module that lets a virtual environment see the packages of an environment below it, after its own.

A user's venv gets it when it is prepared, a layer when it is made: `layers/overlay_module.py` is a link to
this file. So it imports nothing but the standard library of Python 3.10.
"""

import ast
from collections.abc import Mapping
from pathlib import Path

HOOK = "_monobase_base.py"
HOOK_PATH = "monobase.pth"

_TEXT = '''\
"""Written by monobase: lets this virtual environment see the packages of the one below it, after its own."""

import os
import site
import sys

MADE_FOR = {base!r}
LIBRARY = {library!r}
# Packages of which both may have a part. True: if both have an __init__.py, that of the environment runs,
# because the other does nothing.
SHARED = {shared!r}

# A process that activate.sh has activated sees the environment that the rest of its variables are for.
_library = os.path.join(MADE_FOR, LIBRARY)
if os.environ.get("VIRTUAL_ENV") == sys.prefix:
    _activated = os.path.join(os.environ.get("MONOBASE_ENVIRONMENT") or MADE_FOR, LIBRARY)
    if os.path.isdir(_activated):
        _library = _activated


class SharedPackages:
    """Joins the parts of a shared package, which Python does only where none of them has an __init__.py."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name not in SHARED:
            return None
        base = os.path.join(_library, *name.split("."))
        if not os.path.isdir(base):
            return None
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(name, path, target)
        if spec is None or spec.submodule_search_locations is None:
            return spec
        found = list(spec.submodule_search_locations)
        if SHARED[name]:
            below = PathFinder.find_spec(name, [os.path.dirname(base)], target)
            if below is not None and below.origin is not None and below.submodule_search_locations:
                spec = below
        if spec.origin is None:
            return spec
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


def overlay_module(base: Path, library: str, shared: Mapping[str, bool]) -> str:
    """Return the text of the module.

    Args:
        base: The path of the environment below.
        library: The path of site-packages in it.
        shared: Packages of which both may have a part, with dots: whether an `__init__.py` of the environment
            runs instead of the other.
    """
    text = _TEXT
    # No placeholder but these stands in the text: str.format would choke on its braces.
    for name, value in (("base", str(base)), ("library", library), ("shared", dict(shared))):
        text = text.replace(f"{{{name}!r}}", ascii(value))
    return text


def overlay_path() -> str:
    """Return the text of the `.pth` file that imports the module."""
    return f"import {HOOK.removesuffix('.py')}\n"


def does_nothing(init: Path) -> bool:
    """Return whether an `__init__.py` only declares a package, so that the parts of it can be joined.

    Args:
        init: The file.
    """
    try:
        text = init.read_text(encoding="utf-8")
        if "extend_path" in text or "declare_namespace" in text:
            return True
        return all(
            isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
            for node in ast.parse(text).body
        )
    except (OSError, ValueError, SyntaxError):
        return False
