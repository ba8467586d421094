"""Compiles bytecode with the Python of the images, not with the builder's: the same for all architectures.

A container with a read-only root cannot keep bytecode: without it, it would compile at each start.
"""

from pathlib import Path

from image.debian.rootfs.programs import Programs

_PYTHON = "usr/bin/python3.13"


def compile_sources(programs: Programs, folder: Path, root: Path, *options: str) -> None:
    """Compile the sources of a folder to unchecked-hash bytecode: modification times of an image may differ.

    Args:
        programs: They hold Python.
        folder: The folder.
        root: The folder above it that becomes the image's root: paths in the bytecode are relative to it.
        options: More options of compileall.

    Raises:
        ImageError: A source cannot be compiled.
    """
    programs.run(
        # -B: bytecode of compileall's imports would have the builder's paths. -P, -S: import nothing from the
        # builder's folder and packages. Not -E, which would ignore PYTHONHASHSEED.
        _PYTHON, "-B", "-P", "-S", "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash",
        *options, "-s", root, "-p", "/", folder,
        variables={"PYTHONHASHSEED": "0"},
    )  # fmt: skip
