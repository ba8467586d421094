"""Divides a layer of packages into layers of an image.

A registry and a node keep each layer of an image by its digest, so what changes together belongs together.
Each large wheel has a layer of its own: a new version of another package leaves it as it is. All others are
one layer, together with the files that no wheel brought.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from gens.lock import LockedWheel
from layers.record import records

# Below this, a layer costs more in requests and mounts than it saves in bytes.
LARGE_BYTES = 8_000_000
# overlayfs takes 127 layers at least; the runtime and the code have theirs.
MOST_LARGE = 32


@dataclass(frozen=True, slots=True)
class Part:
    """One layer of an image.

    Attributes:
        title: What it holds, for the image's history.
        paths: Its files and links, relative to the layer of packages, sorted.
    """

    title: str
    paths: tuple[PurePosixPath, ...]


def split_layer(root: Path, wheels: Sequence[LockedWheel]) -> tuple[Part, ...]:
    """Divide the files of an installed layer.

    Args:
        root: The layer, a virtual environment.
        wheels: The wheels that are installed in it.

    Returns:
        The parts, those that change least first; together they hold each file once.
    """
    owners = wheel_owners(root)
    large = sorted(wheels, key=lambda wheel: (-wheel.size_bytes, wheel.name))[:MOST_LARGE]
    large = [wheel for wheel in large if wheel.size_bytes >= LARGE_BYTES]
    # In order of their names: a wheel that grows past another one moves no layer.
    titles = {
        wheel.name: f"{wheel.name} {wheel.version}" for wheel in sorted(large, key=lambda one: one.name)
    }
    others = len(wheels) - len(titles)
    paths: dict[str | None, list[PurePosixPath]] = {name: [] for name in (*titles, None)}
    for path in sorted(_files(root)):
        owner = owners.get(source_of(path))
        paths[owner if owner in titles else None].append(path)
    parts = [Part(title, tuple(paths[name])) for name, title in titles.items()]
    return (*parts, Part(f"{others} wheel{'' if others == 1 else 's'}", tuple(paths[None])))


def folders_of(paths: Iterable[PurePosixPath]) -> list[PurePosixPath]:
    """Return the folders of some relative paths, each before what it holds."""
    return sorted({folder for path in paths for folder in path.parents if folder.name})


def _files(root: Path) -> list[PurePosixPath]:
    return [
        PurePosixPath(path.relative_to(root).as_posix())
        for path in root.rglob("*")
        if path.is_symlink() or not path.is_dir()
    ]


def wheel_owners(root: Path) -> Mapping[PurePosixPath, str]:
    """Return the wheel of each file that a RECORD lists; of several, the last, whose file is there.

    Args:
        root: A virtual environment.

    Returns:
        Normalized names of wheels by paths relative to the environment.
    """
    owners: dict[PurePosixPath, str] = {}
    for packages in root.glob("lib/python*/site-packages"):
        library = PurePosixPath(packages.relative_to(root).as_posix())
        for owner, _, rows in records(packages):
            for name, *_ in rows:
                owners[_normal(library / name)] = owner
    return owners


def _normal(path: PurePosixPath) -> PurePosixPath:
    """Remove `..`: RECORD names scripts relative to site-packages."""
    parts: list[str] = []
    for part in path.parts:
        if part == ".." and parts:
            parts.pop()
        else:
            parts.append(part)
    return PurePosixPath(*parts)


def source_of(path: PurePosixPath) -> PurePosixPath:
    """Return the source of bytecode, whose wheel it belongs to; of another file, the file itself."""
    if path.parent.name == "__pycache__" and path.suffix == ".pyc":
        return path.parent.parent / f"{path.name.partition('.')[0]}.py"
    return path
