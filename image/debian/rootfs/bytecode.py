"""Bytecode, made by the Python of the image and not by the builder's.

A container whose root is read-only cannot keep what it compiles, so it would compile at each start.
"""

from collections.abc import Sequence
from pathlib import Path

from image.debian.rootfs.package import open_package
from image.debian.rootfs.tree import Tree

_PYTHON = "usr/bin/python3.13"


def unpack_python(packages: Sequence[Path], root: Path) -> Tree:
    """Unpack as much of the image as its Python needs to run.

    Args:
        packages: The .deb files: Python's, without most of its library, and the libraries that it loads.
        root: The folder to unpack to; it is made.

    Returns:
        The tree, for `compile_sources`.

    Raises:
        ImageError: One of them cannot be read.
    """
    root.mkdir()
    tree = Tree(root.resolve(), date_s=0)
    for path in packages:
        package = open_package(path)
        tree.unpack(package, package.data())
    return tree


def compile_sources(python: Tree, folder: Path, root: Path, *options: str) -> None:
    """Compile the sources of a folder, by hashes that nobody checks: times in an image may be anything.

    Args:
        python: The tree that holds Python.
        folder: The folder.
        root: Where the root of the image is, a folder above it: paths in the bytecode begin there.
        options: More options of compileall.

    Raises:
        ImageError: One of them cannot be compiled.
    """
    python.run(
        # -B: what compileall imports would be written with the builder's paths in it. -P, -S: nothing of the
        # builder's folder and packages is imported. Not -E, with which PYTHONHASHSEED would not count.
        _PYTHON, "-B", "-P", "-S", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash",
        *options, "-s", root, "-p", "/", folder,
        variables={"PYTHONHASHSEED": "0"},
    )  # fmt: skip
