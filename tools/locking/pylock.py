"""Reads the packages of a `pylock.toml`: https://packaging.python.org/en/latest/specifications/pylock-toml/."""

import tomllib
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from packaging.utils import canonicalize_name

from gens.errors import ResolutionError


@dataclass(frozen=True, slots=True)
class PylockWheel:
    """A wheel of an index.

    Attributes:
        url: Its URL on the index.
        filename: Name of the wheel file.
        sha256: Digest that the index states, or None.
        size_bytes: Size that the index states, or None.
    """

    url: str
    filename: str
    sha256: str | None
    size_bytes: int | None


@dataclass(frozen=True, slots=True)
class PylockPackage:
    """A package with those of its wheels that the target accepts.

    Attributes:
        name: Normalized name.
        version: Version.
        wheels: The wheels, at least one.
    """

    name: str
    version: str
    wheels: tuple[PylockWheel, ...]


def parse_pylock(text: str) -> tuple[PylockPackage, ...]:
    """Read a `pylock.toml` that uv made for one target.

    Args:
        text: Content of the file.

    Returns:
        Its packages, sorted by name.

    Raises:
        ResolutionError: A package did not resolve to wheels of an index.
    """
    packages = (_package(package) for package in tomllib.loads(text).get("packages", []))
    return tuple(sorted(packages, key=lambda package: package.name))


def _package(package: dict[str, object]) -> PylockPackage:
    name, version = canonicalize_name(str(package["name"])), str(package.get("version"))
    wheels = package.get("wheels")
    if not isinstance(wheels, list) or not all("url" in wheel for wheel in wheels):
        source = " and ".join(
            key for key in ("vcs", "directory", "archive", "sdist", "wheels") if key in package
        )
        raise ResolutionError(
            f"{name} {version} resolved to a local {source or 'nothing'}, not to wheels of an index"
        )
    return PylockPackage(name, version, tuple(file_of(wheel) for wheel in wheels))


def file_of(entry: dict[str, object]) -> PylockWheel:
    """Return the file of an entry of `wheels`, of an `sdist` or of an `archive` with a URL."""
    url = str(entry["url"])
    hashes, size = entry.get("hashes"), entry.get("size")
    return PylockWheel(
        url=url,
        filename=str(entry.get("name") or unquote(urlsplit(url).path.rpartition("/")[2])),
        sha256=hashes.get("sha256") if isinstance(hashes, dict) else None,
        size_bytes=size if isinstance(size, int) else None,
    )
