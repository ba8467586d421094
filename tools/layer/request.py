"""The request of an author: requirements with the place where each stands, constraints and indexes."""

from dataclasses import dataclass, field, replace
from pathlib import Path

from packaging.markers import Marker
from packaging.utils import canonicalize_name


@dataclass(frozen=True, slots=True)
class Source:
    """The place of a requirement that is on no index.

    Attributes:
        kind: `git`, `path` (a folder or a file) or `url` (a file).
        location: URL without `git+` and without fragment, or absolute path.
        revision: Of Git: branch, tag or commit; None for the default branch.
        subdirectory: Folder of the project in the repository or archive, or None.
        sha256: Of a file: the digest that it must have, or None.
    """

    kind: str
    location: str
    revision: str | None = None
    subdirectory: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True)
class Requirement:
    """One requirement or constraint.

    Attributes:
        text: The requirement in its normal form, without credentials, as in the lock.
        place: Where it stands: `requirements.in:3`.
        name: Normalized name; None if only its source knows it.
        pep508: Text for uv; of a source, without the source.
        extras: Extras that are asked for.
        marker: Its marker, or None.
        source: Its source if it is on no index, else None.
        hashes: SHA-256 digests of which its wheel must have one; none for no demand.
    """

    text: str
    place: str
    name: str | None
    pep508: str
    extras: tuple[str, ...] = ()
    marker: Marker | None = None
    source: Source | None = None
    hashes: tuple[str, ...] = ()

    @property
    def shown(self) -> str:
        """The requirement in messages: without its hashes, of which a wheel may have a hundred."""
        return self.text.partition(" --hash=")[0]


@dataclass(frozen=True, slots=True)
class Request:
    """The content of all files of an author.

    Attributes:
        requirements: Requirements, in the order of the files.
        constraints: Constraints.
        index_url: Index in place of the default one, or None. It may contain credentials.
        extra_index_urls: Indexes beside the default one. They may contain credentials.
        package_indexes: Index that alone serves a package, by its normalized name.
        build: Names of packages to build from source although they have wheels.
        requires_python: Pythons of a project, or None.
    """

    requirements: tuple[Requirement, ...] = ()
    constraints: tuple[Requirement, ...] = ()
    index_url: str | None = None
    extra_index_urls: tuple[str, ...] = ()
    package_indexes: tuple[tuple[str, str], ...] = ()
    build: tuple[str, ...] = ()
    requires_python: tuple[str, ...] = field(default=())

    def __add__(self, other: "Request") -> "Request":
        """Return both requests as one; the index of the later one counts."""
        return replace(
            self,
            requirements=(*self.requirements, *other.requirements),
            constraints=(*self.constraints, *other.constraints),
            index_url=other.index_url or self.index_url,
            extra_index_urls=tuple(dict.fromkeys((*self.extra_index_urls, *other.extra_index_urls))),
            package_indexes=(*self.package_indexes, *other.package_indexes),
            build=tuple(dict.fromkeys((*self.build, *other.build))),
            requires_python=(*self.requires_python, *other.requires_python),
        )


def is_archive(name: str) -> bool:
    """Return whether a file name is that of a source distribution."""
    return name.endswith((".tar.gz", ".zip", ".tgz", ".tar.bz2", ".tar.xz"))


def name_of_wheel(path: str) -> str:
    """Return the normalized name of the package in a wheel's file name."""
    return canonicalize_name(Path(path).name.partition("-")[0])
