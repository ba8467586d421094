"""Divides an installed prefix into layers of an image.

As in `image.model.split`, each large wheel has a layer of its own, with its files in the environment and in
toolkits: as on a node, a file that is in both is one inode. The interpreter has a layer, too; all else is
one. The daemon's records and stores, which only further installs need, are left out.
"""

import base64
import csv
import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from hashlib import file_digest
from pathlib import Path, PurePosixPath

from gens.generation import generation_directory_name
from image.errors import ImageError
from image.model.baked_environment import BakedEnvironment
from image.model.facts import BasePackage
from image.model.split import LARGE_BYTES, MOST_LARGE, Part, source_of, wheel_owners

# `.manifest` and `.done` describe a prefix of the daemon's, with its stores.
_RECORDS = (".manifest", ".done")
_PYTHON = PurePosixPath("uv/python")


def find_wheels(baked: BakedEnvironment, paths: Sequence[Path]) -> dict[str, Path]:
    """Find the wheels of an environment and its toolkits, by their digests.

    Args:
        baked: The environment.
        paths: Wheel files; others may be among them.

    Returns:
        The wheels by their SHA-256.

    Raises:
        ImageError: One is missing, or its file is another one.
    """
    found = {}
    for path in paths:
        with path.open("rb") as stream:
            found[file_digest(stream, "sha256").hexdigest()] = path
    packages = [*baked.packages, *(package for toolkit in baked.toolkits for package in toolkit.packages)]
    missing = sorted({_title(package) for package in packages if package.sha256 not in found})
    if missing:
        raise ImageError(
            f"{baked.environment}: {len(missing)} of its wheels are not among those of the image, by their"
            f" digests: {', '.join(missing[:5])}; give wheels = the repository that"
            " baked_wheels.environment of MODULE.bazel makes"
        )
    return {package.sha256: found[package.sha256] for package in packages}


def split_prefix(prefix: Path, baked: BakedEnvironment, wheels: Mapping[str, Path]) -> tuple[Part, ...]:
    """Divide the files of an installed prefix.

    Args:
        prefix: The prefix.
        baked: The environment in it.
        wheels: The wheels that it was installed from, by their SHA-256.

    Returns:
        The parts, those that change least first; together they hold each file once.
    """
    generation = PurePosixPath("monobase", generation_directory_name(baked.generation))
    titles = {package.name: _title(package) for package in baked.packages}
    environment = prefix / generation / baked.environment
    owners = {
        generation / baked.environment / path: titles.get(name, "")
        for path, name in wheel_owners(environment).items()
    }
    of_toolkits = _toolkit_owners(baked, wheels)
    large = _large(baked, wheels)
    python_title = f"Python {baked.python}"
    paths: dict[str, list[PurePosixPath]] = {title: [] for title in (python_title, *large, "")}
    for path in _paths(prefix, generation):
        if path.is_relative_to(_PYTHON):
            paths[python_title].append(path)
            continue
        owner = owners.get(source_of(path)) or _owner_in_toolkit(prefix / path, path, of_toolkits)
        paths[owner if owner in paths else ""].append(path)
    rest = paths.pop("")
    return (
        *(Part(title, tuple(of_part)) for title, of_part in paths.items() if of_part),
        Part(f"{baked.environment}, all else", tuple(rest)),
    )


def _paths(prefix: Path, generation: PurePosixPath) -> Iterator[PurePosixPath]:
    trees = [prefix / generation, prefix / "cuda", *sorted((prefix / _PYTHON).glob("cpython-*"))]
    for tree in trees:
        for path in sorted(tree.rglob("*")):
            if (path.is_symlink() or not path.is_dir()) and path.name not in _RECORDS:
                yield PurePosixPath(path.relative_to(prefix).as_posix())
    yield PurePosixPath("monobase/latest")


def _large(baked: BakedEnvironment, wheels: Mapping[str, Path]) -> list[str]:
    """Return the titles of the wheels that have a layer of their own, in order of their names."""
    packages = {*baked.packages, *(package for toolkit in baked.toolkits for package in toolkit.packages)}
    sizes = sorted((-wheels[package.sha256].stat().st_size, _title(package)) for package in packages)
    return sorted(title for size, title in sizes[:MOST_LARGE] if -size >= LARGE_BYTES)


def _title(package: BasePackage) -> str:
    return f"{package.name} {package.version}"


def _toolkit_owners(baked: BakedEnvironment, wheels: Mapping[str, Path]) -> Mapping[tuple[str, str], str]:
    """Return the wheel of each file of the toolkits' wheels, by its name and digest."""
    owners: dict[tuple[str, str], str] = {}
    for toolkit in baked.toolkits:
        for package in toolkit.packages:
            for name, digest in _record(wheels[package.sha256]):
                owners.setdefault((name, digest), _title(package))
    return owners


def _record(wheel: Path) -> Iterator[tuple[str, str]]:
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.namelist():
            if member.endswith(".dist-info/RECORD") and member.count("/") == 1:
                text = io.StringIO(archive.read(member).decode(), newline="")
                for path, digest, *_ in (row for row in csv.reader(text) if row):
                    encoded = digest.partition("=")[2]
                    content = base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4))
                    yield PurePosixPath(path).name, content.hex()


def _owner_in_toolkit(file: Path, path: PurePosixPath, owners: Mapping[tuple[str, str], str]) -> str:
    if path.parts[0] != "cuda" or file.is_symlink():
        return ""
    with file.open("rb") as stream:
        return owners.get((path.name, file_digest(stream, "sha256").hexdigest()), "")
