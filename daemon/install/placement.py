"""Maps the files of wheels to the paths of an environment, and refuses paths that no wheel may have.

Implements how the binary distribution format spreads a wheel over an installation scheme, as uv does it
(https://packaging.python.org/en/latest/specifications/binary-distribution-format/). All of it is known
before uv runs: two wheels that claim one path, or a wheel that claims a path of the environment itself, are
refused before anything is written.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from packaging.utils import canonicalize_name

from daemon.errors import WheelContentError
from daemon.prefix.bytecode_list import bytecode_of
from daemon.prefix.inventory import WRITTEN_BY_INSTALLERS, Inventory, InventoryFile
from gens.lock import LockedWheel

# What `uv venv` makes, and what the installer writes itself.
_OWN_AT_TOP = re.compile(r"\..*|pyvenv\.cfg|CACHEDIR\.TAG|lib64")
_OWN_IN_BIN = re.compile(r"(?:python|activate|deactivate|pydoc\.bat)(?:[._0-9].*|w(?:\..*)?)?", re.IGNORECASE)
_OWN_IN_PACKAGES = re.compile(r"_virtualenv\.(?:py|pth)")
_NAME_BYTES = 255
_REWRITTEN = re.compile(rb"#!python")

Kind = Literal["plain", "script", "entry point"]


@dataclass(frozen=True, slots=True)
class Placed:
    """A file of an environment that comes from a wheel.

    Attributes:
        path: In the environment.
        owner: Name and version of the package.
        kind: `plain`: the bytes of the wheel; `script`: those too, but for a first line `#!python`;
            `entry point`: uv writes it.
        source: The file in the wheel; None for an entry point.
        reference: Object that an entry point names, such as `alpha.cli:main`; else empty.
    """

    path: str
    owner: str
    kind: Kind
    source: InventoryFile | None = None
    reference: str = ""

    def agrees(self, other: "Placed") -> bool:
        """Return whether both files have the same content and mode."""
        if self.kind != other.kind:
            return False
        if self.source is None or other.source is None:
            return self.reference == other.reference
        mine, theirs = self.source, other.source
        return (mine.sha256, mine.mode) == (theirs.sha256, theirs.mode)


def packages_directory(python: str) -> str:
    """Return the folder of the packages of an environment, such as `lib/python3.11/site-packages`.

    Args:
        python: Minor version of its interpreter, such as `3.11`.
    """
    return f"lib/python{python}/site-packages"


def place_wheel(
    wheel: LockedWheel, inventory: Inventory, python: str, entry_points: Mapping[str, str]
) -> Iterator[Placed]:
    """Yield the files of one wheel with their places in an environment.

    Args:
        wheel: The wheel, as its lock names it.
        inventory: Its inventory.
        python: Minor version of the environment's interpreter, such as `3.11`.
        entry_points: Its commands: object by name.

    Yields:
        Each file, without those that uv writes into `.dist-info`.

    Raises:
        WheelContentError: A file has a path that no wheel may have.
    """
    owner = f"{wheel.name} {wheel.version}"
    _check_metadata(wheel, inventory)
    data = f"{inventory.stem}.data/"
    own = {f"{inventory.stem}.dist-info/{name}" for name in WRITTEN_BY_INSTALLERS}
    for file in inventory.files:
        if file.path in own:
            continue
        if not file.path.startswith(data):
            yield _checked(Placed(f"{packages_directory(python)}/{file.path}", owner, "plain", file), python)
            continue
        scheme, _, rest = file.path.removeprefix(data).partition("/")
        directory = _scheme_directory(scheme, wheel, python)
        if directory is None or not rest:
            raise WheelContentError(
                f"{wheel.filename}: holds {file.path}, and no installation scheme has a place for it"
            )
        kind: Kind = "script" if scheme == "scripts" else "plain"
        yield _checked(Placed(f"{directory}{rest}", owner, kind, file), python)
    for name, reference in entry_points.items():
        if not name or "/" in name or name in {".", ".."} or not name.isprintable():
            raise WheelContentError(f"{wheel.filename}: names a command {name!r}, which is not a file name")
        yield _checked(Placed(f"bin/{name}", owner, "entry point", reference=reference), python)


def place_environment(
    label: str, placed: Iterable[Placed], python: str, cache_tag: str, *, later_wins: bool = False
) -> dict[str, Placed]:
    """Combine the files of all wheels of an environment.

    Args:
        label: What messages call the environment.
        placed: The files of its wheels, in the order of its lock.
        python: Minor version of its interpreter.
        cache_tag: Tag in the names of bytecode files, such as `cpython-311`.
        later_wins: Whether the later of two wheels wins where both bring one file below the packages, with
            different contents, as with pip; otherwise they are refused.

    Returns:
        The files by path.

    Raises:
        WheelContentError: Two wheels contradict each other, or there is no place for bytecode.
    """
    files: dict[str, Placed] = {}
    folders: dict[str, Placed] = {}
    for item in placed:
        other = files.setdefault(item.path, item)
        if other is not item and not other.agrees(item):
            if later_wins and all(_is_of_packages(each, python) for each in (other, item)):
                files[item.path] = item
                continue
            shown = item.path.removeprefix(f"{packages_directory(python)}/")
            raise _conflict(label, other.owner, item.owner, shown)
        _add_folders(item.path, item, folders)
    _check_bytecode(label, files, folders, python, cache_tag)
    for path, item in folders.items():
        if path in files:
            raise WheelContentError(
                f"{label}: {files[path].owner} brings a file {path}, where {item.owner} needs a folder"
            )
    return files


def find_overlaps(placed: Iterable[Placed], files: Mapping[str, Placed], python: str) -> dict[str, Placed]:
    """Return the files that were taken from the later of two wheels, by path below the packages.

    Args:
        placed: The files of the wheels of an environment.
        files: Those that it gets, by path (`place_environment`).
        python: Minor version of its interpreter.
    """
    taken = {item.path: files[item.path] for item in placed if not files[item.path].agrees(item)}
    return {path.removeprefix(f"{packages_directory(python)}/"): item for path, item in taken.items()}


def is_rewritten(content: bytes) -> bool:
    """Return whether uv replaces the first line of a script."""
    return _REWRITTEN.match(content) is not None


def is_of_environment(path: str, python: str) -> bool:
    """Return whether only the environment itself, or the installer, may have a path."""
    top, _, rest = path.partition("/")
    if not rest:
        return _OWN_AT_TOP.fullmatch(top) is not None
    if top == "bin":
        return "/" not in rest and _OWN_IN_BIN.fullmatch(rest) is not None
    name = path.removeprefix(f"{packages_directory(python)}/")
    return top == "lib64" or (name != path and _OWN_IN_PACKAGES.fullmatch(name) is not None)


def _checked(item: Placed, python: str) -> Placed:
    if is_of_environment(item.path, python):
        raise WheelContentError(
            f"{item.owner}: brings {item.path}, which belongs to the environment itself; such a wheel "
            "is not installed"
        )
    return item


def _check_metadata(wheel: LockedWheel, inventory: Inventory) -> None:
    """Refuse a wheel with the metadata of another package: Python would find one that no lock names."""
    folders = {file.path.partition("/")[0] for file in inventory.files if "/" in file.path}
    found = sorted(folder for folder in folders if folder.endswith(".dist-info"))
    name = found[0].removesuffix(".dist-info").rpartition("-")[0] if found else ""
    if len(found) != 1 or canonicalize_name(name) != wheel.name:
        raise WheelContentError(
            f"{wheel.filename}: holds the metadata of {', '.join(found) or 'no package'}, and its lock names "
            f"{wheel.name} {wheel.version}"
        )


def _scheme_directory(scheme: str, wheel: LockedWheel, python: str) -> str | None:
    return {
        "data": "",
        "headers": f"include/site/python{python}/{wheel.name}/",
        "platlib": f"{packages_directory(python)}/",
        "purelib": f"{packages_directory(python)}/",
        "scripts": "bin/",
    }.get(scheme)


def _check_bytecode(
    label: str, files: Mapping[str, Placed], folders: dict[str, Placed], python: str, cache_tag: str
) -> None:
    packages = f"{packages_directory(python)}/"
    for path, item in files.items():
        if not path.endswith(".py") or not path.startswith(packages):
            continue
        compiled = bytecode_of(path, cache_tag)
        other = files.get(compiled)
        if other is not None and other.owner != item.owner:
            raise WheelContentError(
                f"{label}: {other.owner} brings {compiled}, the bytecode of a source of {item.owner}; "
                "leave one of them out"
            )
        if (
            other is not None
            and _went_through_data(other, packages)
            and not _went_through_data(item, packages)
        ):
            raise WheelContentError(
                f"{label}: {item.owner} brings {compiled} through its .data folder, where that of its "
                "own source goes; such a wheel is not installed"
            )
        name = compiled.rpartition("/")[2]
        if len(name.encode("utf-8", "surrogateescape")) > _NAME_BYTES:
            raise WheelContentError(
                f"{label}: {item.owner} brings {path}, whose bytecode would have a longer name than the "
                f"{_NAME_BYTES} bytes that a file system takes; give the module a shorter name"
            )
        _add_folders(compiled, item, folders)


def _is_of_packages(item: Placed, python: str) -> bool:
    """Return whether a file lies in its wheel where it lies below the packages."""
    return item.kind == "plain" and not _went_through_data(item, f"{packages_directory(python)}/")


def _went_through_data(item: Placed, packages: str) -> bool:
    return item.source is None or item.path != f"{packages}{item.source.path}"


def _add_folders(path: str, item: Placed, folders: dict[str, Placed]) -> None:
    directory = path.rpartition("/")[0]
    while directory and directory not in folders:
        folders[directory] = item
        directory = directory.rpartition("/")[0]


def _conflict(label: str, first: str, second: str, path: str) -> WheelContentError:
    return WheelContentError(
        f"{label}: {first} and {second} both bring {path}, with different contents: "
        "which one wins would be decided by chance; leave one of them out"
    )
