"""A lock of Debian packages for one architecture: name, version, path in the pool, size and SHA-256 of each.

    {
      "made_by": "bazel run //tools:update_debian",
      "suites": ["trixie", "trixie-updates", "trixie-security"],
      "architecture": "amd64",
      "date": "2026-11-14T10:05:11Z",
      "inputs": "sha256:…",
      "layers": {
        "system": [
          {"name": "tini", "version": "0.19.0-3+b3", "path": "pool/…", "size_bytes": 257172, "sha256": "…"}
        ]
      }
    }

Each package is one line, sorted by name, so that a diff of the lock is a list of packages. A path in the pool
names no host: any mirror serves. The lowest layer comes first. `debian.bzl`
reads the same file.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from image.errors import ImageError

_MADE_BY = "bazel run //tools:update_debian"


@dataclass(frozen=True, slots=True)
class LockedPackage:
    """A binary package.

    Attributes:
        name: Its name.
        version: Its version, with epoch.
        path: Its path below a mirror's root.
        size_bytes: Size of the .deb file.
        sha256: Its digest, in hexadecimal digits.
    """

    name: Annotated[str, Meta(pattern=r"^[a-z0-9][a-z0-9+.-]+\Z")]
    version: Annotated[str, Meta(pattern=r"^[0-9A-Za-z.+:~-]+\Z")]
    path: Annotated[str, Meta(pattern=r"^pool/[!-~]+\.deb\Z")]
    size_bytes: Annotated[int, Meta(ge=0)]
    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]

    @property
    def source_file(self) -> str:
        """Path of its .deb file in the repository that `debian.bzl` makes."""
        return f"{self.name}.deb"


@dataclass(frozen=True, slots=True)
class Lock:
    """The packages of all layers.

    Attributes:
        suites: Names of the suites that they come from.
        architecture: Debian's name of the architecture.
        date: When the newest of the suites was released, as RFC 3339.
        inputs: Digest of the list that was resolved.
        layers: The packages of each layer, by its name, the lowest layer first.
    """

    suites: tuple[str, ...]
    architecture: str
    # With a time zone: without one, each builder would read another moment.
    date: Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z\Z")]
    inputs: str
    layers: Annotated[
        Mapping[Annotated[str, Meta(pattern=r"^[a-z][a-z0-9-]*\Z")], tuple[LockedPackage, ...]],
        Meta(min_length=1),
    ]


def lock_name(architecture: str) -> str:
    """Return the file name of the lock of an architecture."""
    return f"packages.{architecture}.lock.json"


def inputs_digest(text: str) -> str:
    """Return the digest of a list of packages, without its comments and blanks."""
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
    facts = {
        "made_by": _MADE_BY,
        "suites": lock.suites,
        "architecture": lock.architecture,
        "date": lock.date,
        "inputs": lock.inputs,
    }
    lines = [f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in facts.items()]
    layers = [_format_layer(name, packages) for name, packages in lock.layers.items()]
    lines.append('  "layers": {\n' + ",\n".join(layers) + "\n  }")
    return "{\n" + ",\n".join(lines) + "\n}\n"


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
    try:
        lock = msgspec.json.decode(text, type=Lock)
    except msgspec.DecodeError as error:
        raise ImageError(f"{path}: is not a lock of Debian packages: {error}; run `{_MADE_BY}`") from error
    names = Counter(package.name for packages in lock.layers.values() for package in packages)
    if twice := sorted(name for name, count in names.items() if count > 1):
        raise ImageError(f"{path}: names {', '.join(twice)} more than once; run `{_MADE_BY}`")
    return lock


def _format_layer(name: str, packages: tuple[LockedPackage, ...]) -> str:
    lines = [
        f"      {json.dumps(asdict(package))}"
        for package in sorted(packages, key=lambda package: package.name)
    ]
    return f"    {json.dumps(name)}: [\n" + ",\n".join(lines) + "\n    ]"
