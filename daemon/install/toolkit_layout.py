"""Maps the files of NVIDIA's wheels to the layout of a CUDA or cuDNN toolkit.

NVIDIA's wheels hold one component each: `nvidia/cublas/lib/…` and so on before CUDA 13, `nvidia/cu13/lib/…`
since. A build expects what the CUDA installer makes: `bin include lib64 nvvm` under one folder.
"""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from daemon.prefix.manifest import Link

_COMPONENT = re.compile(r"nvidia/[^/]+/(?P<rest>.+)")
_LICENSE = re.compile(
    r"(?P<package>[^/]+)\.dist-info/(?:licenses/)?(?P<name>(?:LICEN[CS]E|COPYING|NOTICE|License)[^/]*)"
)
_LIBRARY = re.compile(r"(?P<stem>.+\.so)\.(?P<version>[0-9]+(?:\.[0-9]+)*)")
_SANITIZER = "nvidia-cuda-sanitizer-api"
_TARGETS = {"aarch64": "sbsa-linux"}  # NVIDIA's name for servers; `aarch64-linux` is that of Tegra


def toolkit_path(package: str, path: str, product: str) -> str | None:
    """Return the path in a toolkit of a file of NVIDIA's wheels.

    Args:
        package: Name of the package, such as `nvidia-cublas-cu12`.
        path: Path in the wheel, such as `nvidia/cublas/lib/libcublas.so.12`.
        product: `cuda`, with its libraries in `lib64`, or `cudnn`, with its libraries in `lib`.

    Returns:
        The path, such as `lib64/libcublas.so.12`; None for a file that is not part of a toolkit.
    """
    licence = _LICENSE.fullmatch(path)
    if licence is not None:
        return f"share/licenses/{licence['package']}/{licence['name']}"
    found = _COMPONENT.fullmatch(path)
    if found is None:
        return None
    rest: str = found["rest"]
    if PurePosixPath(rest).name == "__init__.py" or "__pycache__" in rest or "/" not in rest:
        return None
    if package.startswith(_SANITIZER) and rest.startswith("include/"):
        # CUDA's installer puts them there, apart from CUPTI's headers of the same names.
        return f"compute-sanitizer/{rest}"
    if product == "cuda" and rest.startswith("lib/"):
        return f"lib64/{rest.removeprefix('lib/')}"
    return rest


def toolkit_links(paths: Iterable[str], product: str, machine: str = "x86_64") -> list[Link]:
    """Return the symbolic links that a toolkit needs beside its files.

    Args:
        paths: The files of the toolkit.
        product: `cuda` or `cudnn`.
        machine: The machine of the target, which names the folder under `targets/`.

    Returns:
        `libcublas.so` for linkers beside `libcublas.so.12`, and for CUDA the other names of its folders.
    """
    held = set(paths)
    links = {}
    for path in sorted(held, key=_library_version):
        library = _LIBRARY.fullmatch(path)
        if library is not None:  # with several versions, the highest comes last and wins
            links[library["stem"]] = Link(library["stem"], PurePosixPath(path).name)
    folders = {path.partition("/")[0] for path in held}
    if product == "cuda" and "lib64" in folders:
        links["lib"] = Link("lib", "lib64")
    if product == "cuda":
        nvvm = links.get("lib64/libnvvm.so")
        if nvvm is not None and not any(path.startswith("nvvm/lib64/") for path in held):
            links["nvvm/lib64/libnvvm.so"] = Link("nvvm/lib64/libnvvm.so", f"../../lib64/{nvvm.target}")
        for name, target in (("include", "include"), ("lib", "lib64")):
            if target in folders:
                path = f"targets/{_TARGETS.get(machine, f'{machine}-linux')}/{name}"
                links[path] = Link(path, f"../../{target}")
    folders = {str(parent) for path in held for parent in PurePosixPath(path).parents}
    return [links[path] for path in sorted(links) if _is_free(path, held, folders)]


def _library_version(path: str) -> list[int]:
    library = _LIBRARY.fullmatch(path)
    return [] if library is None else [int(part) for part in library["version"].split(".")]


def _is_free(path: str, files: set[str], folders: set[str]) -> bool:
    """Return whether a path is unused, and no file has the name of a folder above it."""
    taken = path in files or path in folders
    return not taken and not any(str(parent) in files for parent in PurePosixPath(path).parents)
