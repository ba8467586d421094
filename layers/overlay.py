"""Writes the module that lets a layer's Python see the packages of the base, after the layer's own.

The base is not there when a layer is made. So the module decides at an import, and only for packages whose
parts both sides may have: `nvidia`, `google`, the plugins of a package of the base. The layer knows which of
its packages those can be (`shared_packages`); for all others, Python uses the first on sys.path, the layer's.
"""

from collections.abc import Iterable
from pathlib import Path

from layers.overlay_module import HOOK, HOOK_PATH, does_nothing, overlay_module, overlay_path
from layers.record import records


def write_overlay(packages: Path, base: Path, library: str, overrides: Iterable[str]) -> None:
    """Write the module, and the `.pth` file that imports it.

    Args:
        packages: The site-packages of the layer, complete.
        base: The path of the base on the node.
        library: The path of site-packages in an environment.
        overrides: Normalized names of the distributions that replace one of the base.
    """
    shared = shared_packages(packages, frozenset(overrides))
    (packages / HOOK).write_text(overlay_module(base, library, shared), encoding="utf-8")
    (packages / HOOK_PATH).write_text(overlay_path(), encoding="utf-8")


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
        elif inits == {"__init__.py"} and does_nothing(folder / name / "__init__.py"):
            is_shared = child.is_added or child.modules == inits
        else:
            is_shared = False
        if is_shared:
            found[".".join((*above, name))] = bool(inits) and child.is_added
            _add_shared(folder / name, child, (*above, name), found)
