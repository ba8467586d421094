"""Writes the module that lets a layer's Python see the packages of the base, after the layer's own.

The base is not there when a layer is made. So the module decides at an import, and only for packages whose
parts both sides may have: `nvidia`, `google`, the plugins of a package of the base. The layer knows which of
its packages those can be (`shared_packages`); for all others, Python uses the first on sys.path, the layer's.
"""

import ast
from collections.abc import Iterable
from pathlib import Path

from layers.record import records

HOOK = "_monobase_base.py"
HOOK_PATH = "monobase.pth"

_HOOK_TEXT = '''\
"""Written by monobase: lets this layer see the packages of the environment below it, after its own."""

import os
import site
import sys

MADE_FOR = {base!r}
LIBRARY = {library!r}
# Packages of the layer of which the environment may have a part. True: if both have an __init__.py, that of
# the environment runs, because the layer's does nothing.
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


def write_overlay(packages: Path, base: Path, library: str, overrides: Iterable[str]) -> None:
    """Write the module, and the `.pth` file that imports it.

    Args:
        packages: The site-packages of the layer, complete.
        base: The path of the base on the node.
        library: The path of site-packages in an environment.
        overrides: Normalized names of the distributions that replace one of the base.
    """
    text = _HOOK_TEXT
    shared = shared_packages(packages, frozenset(overrides))
    # No placeholder but these stands in the text: str.format would choke on its braces.
    for name, value in (("base", str(base)), ("library", library), ("shared", shared)):
        text = text.replace(f"{{{name}!r}}", ascii(value))
    (packages / HOOK).write_text(text, encoding="utf-8")
    (packages / HOOK_PATH).write_text(f"import {HOOK.removesuffix('.py')}\n", encoding="utf-8")


def shared_packages(packages: Path, overrides: frozenset[str]) -> dict[str, bool]:
    """Return the packages of a layer of which the base may have a part.

    These are packages without an `__init__.py`, and packages with an `__init__.py` that does nothing, if
    they have files of a distribution that the base lacks, or no modules of their own. A package whose
    `__init__.py` does something is the layer's, as a whole.

    Args:
        packages: The site-packages of the layer.
        overrides: Normalized names of the distributions that replace one of the base.

    Returns:
        By name, with dots: whether an `__init__.py` of the base runs instead of the layer's.
    """
    tree = _Folder()
    for owner, _, rows in records(packages):
        for path, *_ in rows:
            if not path.startswith(("../", "/")):
                tree.add(path.split("/"), owner in overrides)
    found: dict[str, bool] = {}
    _add_shared(packages, tree, (), found)
    return dict(sorted(found.items()))


class _Folder:
    """The folders below site-packages that wheels have files in, and what these are."""

    def __init__(self) -> None:
        self.folders: dict[str, _Folder] = {}
        self.files: set[str] = set()
        self.is_added = False  # whether it has files of a distribution that the base lacks

    def add(self, parts: list[str], overrides: bool) -> None:
        self.is_added |= not overrides
        if len(parts) == 1:
            self.files.add(parts[0])
        else:
            self.folders.setdefault(parts[0], _Folder()).add(parts[1:], overrides)

    @property
    def modules(self) -> set[str]:
        """File names of its modules, `__init__` among them."""
        return {name for name in self.files if name.endswith((".py", ".so"))}


def _add_shared(folder: Path, tree: _Folder, above: tuple[str, ...], found: dict[str, bool]) -> None:
    for name, child in sorted(tree.folders.items()):
        if not name.isidentifier() or name == "__pycache__":
            continue
        inits = {file for file in child.modules if file.partition(".")[0] == "__init__"}
        if not inits:
            is_shared = (
                not above
                or bool(child.modules)
                or any("__init__.py" in it.files for it in child.folders.values())
            )
        elif inits == {"__init__.py"} and _does_nothing(folder / name / "__init__.py"):
            is_shared = child.is_added or child.modules == inits
        else:
            is_shared = False
        if is_shared:
            found[".".join((*above, name))] = bool(inits) and child.is_added
            _add_shared(folder / name, child, (*above, name), found)


def _does_nothing(init: Path) -> bool:
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
