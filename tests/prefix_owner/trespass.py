"""Finds code that reads or changes the prefix by itself, by the syntax tree of its module.

It knows the calls that list a folder, read a link, or make, rename or remove a name; the functions of
`daemon/host` that do so; and the names and paths of the layout. It does not know what a path stands for: the
test names each module that must do this elsewhere than on the prefix, with its reason.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

_FUNCTIONS = {
    "os": {
        "link", "listdir", "makedirs", "mkdir", "readlink", "remove", "removedirs", "rename", "renames",
        "replace", "rmdir", "scandir", "symlink", "unlink", "walk",
    },
    "shutil": {"copy", "copy2", "copyfile", "copytree", "move", "rmtree"},
    "glob": {"glob", "iglob"},
}  # fmt: skip
_METHODS = {
    "glob", "hardlink_to", "iterdir", "mkdir", "readlink", "rename", "rglob", "rmdir", "symlink_to", "touch",
    "unlink", "walk",
}  # fmt: skip
_IMPORTS = {
    "daemon.host.tree_walk": {"walk_files", "walk_tree"},
    "daemon.host.removal": {"remove", "walk"},
    "daemon.host.durability": {"write_file", "write_if_changed", "write_symlink"},
}
_NAMES = {".done", ".manifest", ".staging", "latest", "monobase-environments"}
_PATHS = {
    "environments_file", "latest", "lock_file", "machine_file", "sealed_mark", "second_lock_file",
    "service_lock_file",
}  # fmt: skip

_FOLDER = re.compile(
    r"(\w+\.)*_?prefix\.(root|generations|toolkits|uv_python|uv_cache|wheels|files|bytecode|generation\(.*\))"
)


@dataclass(frozen=True, slots=True, order=True)
class Trespass:
    """An operation that only `daemon/prefix` may do, found in another module.

    Attributes:
        module: Path of the module.
        line: Line in it.
        what: The call, the import, the path or the name.
    """

    module: str
    line: int
    what: str

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.module}:{self.line}: {self.what}"


def trespasses(source: str, module: str) -> list[Trespass]:
    """Find what a module does that only `daemon/prefix` and `daemon/host` may do.

    Args:
        source: Its text.
        module: Its path, for messages.

    Returns:
        Each place, in order.
    """
    return sorted(
        Trespass(module, node.lineno, what)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.expr | ast.stmt)
        for what in _of_node(node)
    )


def _of_node(node: ast.expr | ast.stmt) -> Iterator[str]:
    match node:
        case ast.ImportFrom(module=str(module), names=names):
            for alias in names:
                if alias.name in _FUNCTIONS.get(module, ()):
                    yield f"{module}.{alias.name}"
                elif alias.name in _IMPORTS.get(module, ()):
                    yield alias.name
        case ast.Attribute(value=value, attr=name):
            yield from _of_attribute(ast.unparse(value), name)
        case ast.BinOp(left=left, op=ast.Div()) if _FOLDER.fullmatch(ast.unparse(left)):
            yield "a path below the prefix"
        case ast.Constant(value=value) if isinstance(value, str) and value in _NAMES:
            yield f"the name {value!r}"


def _of_attribute(owner: str, name: str) -> Iterator[str]:
    if owner in _FUNCTIONS:
        if name in _FUNCTIONS[owner]:
            yield f"{owner}.{name}"
    elif name in _METHODS:
        yield f".{name}"
    elif owner.endswith("prefix") and name in _PATHS:
        yield f"prefix.{name}"
