"""Reads a package index: the wheels of a project, and the metadata of a wheel without the whole wheel.

Implements the client side of the Simple repository API (PEP 691) by pypi-simple, and the core metadata of
wheels. Where an index offers no metadata files (PEP 658), byte ranges of the wheel are read, as
uv and pip do.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import TypeVar
from zipfile import ZipFile

import requests
from packaging.metadata import InvalidMetadata, Metadata
from packaging.tags import Tag
from packaging.utils import InvalidWheelFilename, parse_wheel_filename
from packaging.version import Version
from pypi_simple import PYPI_SIMPLE_ENDPOINT, DistributionPackage, NoSuchProjectError, PyPISimple
from pypi_simple.errors import UnsupportedContentTypeError
from remotezip import RemoteZip, RemoteZipError  # type: ignore[import-untyped]

from gens.errors import ResolutionError

_VARIABLES = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
_TIMEOUT_S = 60
_Read = TypeVar("_Read")


@dataclass(frozen=True, slots=True)
class IndexedWheel:
    """A wheel that an index lists.

    Attributes:
        filename: Its file name.
        version: Its version.
        tags: Compatibility tags of its file name.
        uploaded: When it was uploaded, in UTC, `2026-11-01T00:00:00Z`; empty where the index does not say.
        sha256: Its digest.
        package: The wheel as an object of pypi-simple.
    """

    filename: str
    version: Version
    tags: frozenset[Tag]
    uploaded: str
    sha256: str
    package: DistributionPackage = field(repr=False, compare=False)


class Index:
    """A package index.

    Args:
        url: Its URL, the folder of projects; None for the index that the variables of uv and pip name, or the
            default of the client.
        variables: Environment variables, such as `os.environ`.
    """

    def __init__(self, url: str | None = None, variables: Mapping[str, str] = os.environ) -> None:
        named = [variables[name] for name in _VARIABLES if variables.get(name)]
        self._named = url or (named[0] if named else None)
        self._session = requests.Session()
        self._client = PyPISimple(self._named or PYPI_SIMPLE_ENDPOINT, session=self._session)
        self.metadata_read = 0

    @property
    def name(self) -> str:
        """The URL as it was named, without credentials; `the default index` if none was named."""
        if self._named is None:
            return "the default index"
        scheme, _, rest = self._named.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2]}" if rest else self._named

    def wheels(self, project: str) -> list[IndexedWheel]:
        """Return the wheels of a project that were not withdrawn, in the order of their file names.

        Args:
            project: Its normalized name.

        Raises:
            ResolutionError: The index does not answer, or its answer is not a page of an index.
        """
        try:
            page = self._client.get_project_page(project, timeout=_TIMEOUT_S)
        except NoSuchProjectError:
            return []
        except (requests.RequestException, UnsupportedContentTypeError, ValueError) as error:
            raise ResolutionError(
                f"{self.name}: {project}: cannot be read: {error}; name another index with --index-url"
            ) from error
        found = [_wheel(package) for package in page.packages if not package.is_yanked]
        return sorted((wheel for wheel in found if wheel is not None), key=lambda wheel: wheel.filename)

    def metadata(self, wheel: IndexedWheel) -> Metadata:
        """Return the core metadata of a wheel.

        Raises:
            ResolutionError: The index does not serve it.
        """
        self.metadata_read += 1
        try:
            if wheel.package.has_metadata:
                content = self._client.get_package_metadata_bytes(wheel.package, timeout=_TIMEOUT_S)
            else:
                content = self.read(wheel, lambda archive: archive.read(_metadata_member(archive)))
            return Metadata.from_email(content, validate=False)
        except (requests.RequestException, InvalidMetadata, ValueError) as error:
            raise ResolutionError(f"{self.name}: {wheel.filename}: no metadata: {error}") from error

    def read(self, wheel: IndexedWheel, reader: Callable[[ZipFile], _Read]) -> _Read:
        """Read parts of a wheel's archive: only the byte ranges that `reader` reads are downloaded.

        Args:
            wheel: The wheel.
            reader: Reads the archive.

        Returns:
            The result of `reader`.

        Raises:
            ResolutionError: The index does not serve the wheel, or serves no byte ranges.
        """
        try:
            with RemoteZip(wheel.package.url, session=self._session, timeout=_TIMEOUT_S) as archive:
                return reader(archive)
        except (requests.RequestException, RemoteZipError, OSError, ValueError) as error:
            raise ResolutionError(f"{self.name}: {wheel.filename}: cannot be read: {error}") from error


def _metadata_member(archive: ZipFile) -> str:
    (name,) = [
        name for name in archive.namelist() if name.endswith(".dist-info/METADATA") and name.count("/") == 1
    ]
    return name


def _wheel(package: DistributionPackage) -> IndexedWheel | None:
    """Return the wheel of a file; None for source archives and malformed names of old wheels."""
    try:
        _, version, _, tags = parse_wheel_filename(package.filename)
    except InvalidWheelFilename:
        return None
    uploaded = package.upload_time
    return IndexedWheel(
        package.filename,
        version,
        tags,
        "" if uploaded is None else uploaded.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        package.digests.get("sha256", ""),
        package,
    )
