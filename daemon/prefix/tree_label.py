"""Labels of trees: their paths below the prefix, by which findings, messages and repairs name them.

monobase/g00003          the folder of a generation
monobase/g00003/NAME     an environment of it, or its link to a toolkit
cuda/NAME                a toolkit
uv/python/NAME           an interpreter
monobase, cuda, files,   a store, or the folder of all generations or toolkits
pyc, wheels
"""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from daemon.prefix.prefix import Prefix

LabelKind = Literal["store", "generation", "target", "toolkit", "interpreter"]
STORES = frozenset({"monobase", "cuda", "files", "pyc", "wheels"})


@dataclass(frozen=True, slots=True)
class Label:
    """A label, taken apart.

    Attributes:
        kind: What it names; `target` is an environment, or a link to a toolkit.
        name: Name of the tree; of a store, the store's.
        generation: Name of the generation of a target; else empty.
    """

    kind: LabelKind
    name: str
    generation: str = ""


def generation_label(name: str) -> str:
    """Return the label of a generation."""
    return f"monobase/{name}"


def target_label(generation: str, name: str) -> str:
    """Return the label of an environment of a generation, or of its link to a toolkit."""
    return f"monobase/{generation}/{name}"


def toolkit_label(name: str) -> str:
    """Return the label of a toolkit, by its name below `cuda/`."""
    return f"cuda/{name}"


def interpreter_label(name: str) -> str:
    """Return the label of an interpreter, by its name below `uv/python/`."""
    return f"uv/python/{name}"


def parse_label(label: str) -> Label:
    """Take a label apart.

    Raises:
        ValueError: It is not a label.
    """
    match label.split("/"):
        case [store] if store in STORES:
            return Label("store", store)
        case ["monobase", name]:
            return Label("generation", name)
        case ["monobase", generation, *names] if names:
            return Label("target", "/".join(names), generation)
        case ["cuda", name]:
            return Label("toolkit", name)
        case ["uv", "python", name]:
            return Label("interpreter", name)
    raise ValueError(f"{label!r} is not the label of a tree")


def is_interpreter(label: str) -> bool:
    """Return whether a text is the label of an interpreter; it may have been read from a file."""
    try:
        return parse_label(label).kind == "interpreter"
    except ValueError:
        return False


def tree_at(prefix: Prefix, label: str) -> Path:
    """Return the path of a tree."""
    return prefix.root / label


def tree_label(prefix: Prefix, tree: Path) -> str:
    """Return the label of a tree, however its path is spelled."""
    return os.path.relpath(
        tree, prefix.root.resolve() if tree.is_relative_to(prefix.root.resolve()) else prefix.root
    )
