"""The lock of Debian packages: each by name, version, place in the pool, size and SHA-256.

    # suites: trixie trixie-updates trixie-security
    # architecture: amd64
    # date: 2026-11-14T10:05:11Z
    # inputs: sha256:…
    [system]
    tini 0.19.0-3+b3 pool/main/t/tini/tini_0.19.0-3+b3_amd64.deb 257172 sha256:…

A place in the pool names no host, so any mirror will do. Layers stand on one another, the lowest first.
`debian.bzl` reads the same file.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from image.errors import ImageError

_LAYER = re.compile(r"\[([a-z][a-z0-9-]*)\]")
_PACKAGE = re.compile(
    r"(?P<name>[a-z0-9][a-z0-9+.-]+) (?P<version>[0-9A-Za-z.+:~-]+) (?P<path>pool/[!-~]+\.deb) "
    r"(?P<size>[0-9]+) sha256:(?P<sha256>[0-9a-f]{64})"
)
_HEADER = re.compile(r"# (suites|architecture|date|inputs): (.+)")


@dataclass(frozen=True, slots=True)
class LockedPackage:
    """A binary package.

    Attributes:
        name: Its name.
        version: Its version, with epoch.
        path: Its place below a mirror's root.
        size_bytes: Size of the .deb file.
        sha256: Its digest, in hexadecimal digits.
    """

    name: str
    version: str
    path: str
    size_bytes: int
    sha256: str

    @property
    def source_file(self) -> str:
        """Its name in the repository that `debian.bzl` makes."""
        return f"{self.name}.deb"


@dataclass(frozen=True, slots=True)
class Lock:
    """The packages of all layers.

    Attributes:
        suites: Names of the suites that they came from.
        architecture: Debian's name of the architecture.
        date: When the newest of the suites was released, as RFC 3339.
        inputs: Digest of the list that was resolved.
        layers: The packages of each layer, by its name, the lowest layer first.
    """

    suites: tuple[str, ...]
    architecture: str
    date: str
    inputs: str
    layers: Mapping[str, tuple[LockedPackage, ...]]


def inputs_digest(text: str) -> str:
    """Give the digest of a list of packages: comments and blanks do not count."""
    lines = [" ".join(line.partition("#")[0].split()) for line in text.splitlines()]
    content = "".join(f"{line}\n" for line in lines if line)
    return f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"


def format_lock(lock: Lock) -> str:
    """Write a lock.

    Args:
        lock: The lock.

    Returns:
        The text of its file.
    """
    lines = [
        "# Made by `bazel run //tools:update_debian` from packages.txt; do not edit.",
        f"# suites: {' '.join(lock.suites)}",
        f"# architecture: {lock.architecture}",
        f"# date: {lock.date}",
        f"# inputs: {lock.inputs}",
    ]
    for layer, packages in lock.layers.items():
        lines.append(f"[{layer}]")
        lines += [
            f"{package.name} {package.version} {package.path} {package.size_bytes} sha256:{package.sha256}"
            for package in sorted(packages, key=lambda package: package.name)
        ]
    return "".join(f"{line}\n" for line in lines)


def parse_lock(text: str, path: Path) -> Lock:
    """Read a lock.

    Args:
        text: The text of its file.
        path: The file, for messages.

    Returns:
        The lock.

    Raises:
        ImageError: It is malformed.
    """
    header: dict[str, str] = {}
    layers: dict[str, list[LockedPackage]] = {}
    packages: list[LockedPackage] | None = None
    names: set[str] = set()
    for number, line in enumerate(text.splitlines(), start=1):
        if line.startswith("#") or not line.strip():
            if (fact := _HEADER.fullmatch(line)) is not None:
                header[fact[1]] = fact[2]
            continue
        if (layer := _LAYER.fullmatch(line)) is not None:
            packages = layers.setdefault(layer[1], [])
            continue
        found = _PACKAGE.fullmatch(line)
        if found is None or packages is None or found["name"] in names:
            raise ImageError(
                f"{path}:{number}: is no line of a layer, names a package twice, or stands before a layer: "
                f"{line!r}; `bazel run //tools:update_debian` writes the file anew"
            )
        names.add(found["name"])
        packages.append(
            LockedPackage(found["name"], found["version"], found["path"], int(found["size"]), found["sha256"])
        )
    missing = {"suites", "architecture", "date", "inputs"} - header.keys()
    if missing or not layers:
        raise ImageError(
            f"{path}: has no {', '.join(sorted(missing)) or 'layer'}; "
            "`bazel run //tools:update_debian` writes the file anew"
        )
    return Lock(
        tuple(header["suites"].split()),
        header["architecture"],
        header["date"],
        header["inputs"],
        {layer: tuple(found) for layer, found in layers.items()},
    )
