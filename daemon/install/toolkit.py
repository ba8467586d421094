"""Stage 5, lay out: toolkits as the trees that builds expect, and what the runtime reads.

NVIDIA's wheels hold one component each: `nvidia/cublas/lib/…` and so on before CUDA 13,
`nvidia/cu13/lib/…` since. A build expects what the CUDA installer makes: `bin include lib64 nvvm` under
one folder. There is no `ld.so.cache`: glibc reads it from `/etc` only, which belongs to the model; the
runtime sets `LD_LIBRARY_PATH`.
"""

import os
import re
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from daemon.errors import WheelContentError
from daemon.host.known_contents import KnownContents
from daemon.host.modes import make_folder, make_new_folder
from daemon.install.plan import Wanted
from daemon.prefix.content_store import ContentStore
from daemon.prefix.inventory import InventoryFile
from daemon.prefix.inventory_cache import InventoryCache
from daemon.prefix.manifest import Link
from daemon.prefix.prefix import Prefix
from daemon.prefix.staging import make_link, staged_tree
from daemon.uv.cache import find_archive
from gens.generation import Toolkit

_COMPONENT = re.compile(r"nvidia/[^/]+/(?P<rest>.+)")
_LICENSE = re.compile(
    r"(?P<package>[^/]+)\.dist-info/(?:licenses/)?(?P<name>(?:LICEN[CS]E|COPYING|NOTICE|License)[^/]*)"
)
_LIBRARY = re.compile(r"(?P<stem>.+\.so)\.(?P<version>[0-9]+(?:\.[0-9]+)*)")
_SANITIZER = "nvidia-cuda-sanitizer-api"


@dataclass(frozen=True, slots=True)
class ToolkitTree:
    """A toolkit in the layout that builds expect, in the staging folder.

    Attributes:
        directory: Where it is.
        files: Its files.
        links: Its symbolic links.
    """

    directory: Path
    files: tuple[InventoryFile, ...]
    links: tuple[Link, ...]


def toolkit_path(package: str, path: str, product: str) -> str | None:
    """Say where a file of NVIDIA's wheels stands in a toolkit.

    Args:
        package: Name of the package, such as `nvidia-cublas-cu12`.
        path: In the wheel, such as `nvidia/cublas/lib/libcublas.so.12`.
        product: `cuda`, whose libraries stand in `lib64`, or `cudnn`, whose stand in `lib`.

    Returns:
        The path in the toolkit, such as `lib64/libcublas.so.12`; None for what has no place there.
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
        # Where CUDA's installer puts them, apart from CUPTI's headers of the same names.
        return f"compute-sanitizer/{rest}"
    if product == "cuda" and rest.startswith("lib/"):
        return f"lib64/{rest.removeprefix('lib/')}"
    return rest


def toolkit_links(paths: Iterable[str], product: str, machine: str = "x86_64") -> list[Link]:
    """Give the symbolic links that a toolkit needs beside its files.

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
                path = f"targets/{machine}-linux/{name}"
                links[path] = Link(path, f"../../{target}")
    folders = {str(parent) for path in held for parent in PurePosixPath(path).parents}
    return [links[path] for path in sorted(links) if _is_free(path, held, folders)]


def _library_version(path: str) -> list[int]:
    library = _LIBRARY.fullmatch(path)
    return [] if library is None else [int(part) for part in library["version"].split(".")]


def _is_free(path: str, files: set[str], folders: set[str]) -> bool:
    """Tell whether nothing stands at a path, and no file where a folder above it must be."""
    taken = path in files or path in folders
    return not taken and not any(str(parent) in files for parent in PurePosixPath(path).parents)


def lay_out_toolkit(
    prefix: Prefix,
    wanted: Wanted,
    toolkit: Toolkit,
    store: ContentStore,
    inventories: InventoryCache,
    known: KnownContents,
) -> ToolkitTree:
    """Make a toolkit of the content of its wheels, by links to uv's cache.

    uv does not install them first: in one folder the wheels of a whole toolkit contradict each other, as
    CUPTI and the sanitizer API bring different headers of one name.

    Args:
        prefix: The prefix.
        wanted: The toolkit, with its lock.
        toolkit: The same, as the toolkit that it is.
        store: Whether hard links may be made.
        inventories: What the wheels hold.
        known: What this run has read.

    Returns:
        The toolkit, in the staging folder.

    Raises:
        WheelContentError: Two wheels bring different contents for one path, or a file in place of a folder.
    """
    target = toolkit
    directory = staged_tree(prefix, wanted.generation, target)
    make_new_folder(directory)
    files: dict[str, tuple[InventoryFile, str]] = {}
    made = set()
    for wheel in wanted.lock.wheels:
        archive = find_archive(prefix.uv_cache, wheel)
        if archive is None:
            raise WheelContentError(
                f"{wheel.filename}: is not in uv's cache; run the install again, which downloads it"
            )
        for file in inventories.get(wheel).installed_as_is():
            path = toolkit_path(wheel.name, file.path, target.product)
            if path is None:
                continue
            other = files.get(path)
            if other is not None:
                if other[0].sha256 != file.sha256:
                    raise WheelContentError(
                        f"{wanted.label}: {other[1]} and {wheel.name} both bring {path}, "
                        "with different contents"
                    )
                continue
            final = f"{directory}/{path}"
            parent = final.rpartition("/")[0]
            try:
                if parent not in made:
                    make_folder(parent)
                    made.add(parent)
                store.place(f"{archive}/{file.path}", final, file.sha256)
            except (FileExistsError, NotADirectoryError) as error:
                raise WheelContentError(
                    f"{wanted.label}: {wheel.name} brings {path}, where another file or folder stands"
                ) from error
            status = os.lstat(final)
            placed = InventoryFile(path, file.sha256, file.size_bytes, stat.S_IMODE(status.st_mode))
            if known.digest(final, status) != file.sha256 or placed.mode != file.mode:
                raise WheelContentError(
                    f"{wanted.label}: {path} is not what {wheel.name} {wheel.version} holds; install again, "
                    "which brings the wheel anew"
                )
            files[path] = (placed, wheel.name)
    if not files:
        raise WheelContentError(f"{wanted.label}: its wheels hold no toolkit: no file under nvidia/")
    machine = target.inputs.platform.partition("-")[0]
    links = toolkit_links(files, target.product, machine)
    for link in links:
        place = directory / link.path
        try:
            make_link(place, link.target)
        except (FileExistsError, NotADirectoryError) as error:
            raise WheelContentError(
                f"{wanted.label}: a wheel brings something where {link.path} must link to {link.target}"
            ) from error
    return ToolkitTree(directory, tuple(file for file, _ in files.values()), tuple(links))
