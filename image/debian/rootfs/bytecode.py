"""Compiles bytecode with the Python of the image, not with the builder's.

A container with a read-only root cannot keep bytecode: without it, it would compile at each start.
"""

from collections.abc import Sequence
from pathlib import Path

from image.debian.rootfs.package import open_package
from image.debian.rootfs.tree import Tree

_PYTHON = "usr/bin/python3.13"


def unpack_python(packages: Sequence[Path], root: Path) -> Tree:
    """Unpack the files that the image's Python needs to run.

    Args:
        packages: The .deb files of Python (without most of its library) and of the libraries that it loads.
        root: The new folder to unpack to.

    Returns:
        The tree, for `compile_sources`.

    Raises:
        ImageError: A .deb file cannot be read.
    """
    root.mkdir()
    tree = Tree(root.resolve(), date_s=0)
    for path in packages:
        package = open_package(path)
        tree.unpack(package, package.data())
    return tree


def compile_sources(python: Tree, folder: Path, root: Path, *options: str) -> None:
    """Compile the sources of a folder to unchecked-hash bytecode: modification times of an image may differ.

    Args:
        python: The tree that holds Python.
        folder: The folder.
        root: The folder above it that becomes the image's root: paths in the bytecode are relative to it.
        options: More options of compileall.

    Raises:
        ImageError: A source cannot be compiled.
    """
    python.run(
        # -B: bytecode of compileall's imports would have the builder's paths. -P, -S: import nothing from the
        # builder's folder and packages. Not -E, which would ignore PYTHONHASHSEED.
        _PYTHON, "-B", "-P", "-S", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash",
        *options, "-s", root, "-p", "/", folder,
        variables={"PYTHONHASHSEED": "0"},
    )  # fmt: skip
