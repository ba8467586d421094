"""Reads the METADATA of wheels that are installed in an image (PyPA core metadata, version 2.4)."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from packageurl import PackageURL
from packaging.metadata import parse_email
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from image.errors import ImageError
from image.sbom.licence import Licence, licence_of

# Not what a wheel has below its own package: setuptools/_vendor holds such folders.
METADATA_PATH = re.compile(
    r"(?P<library>(?:\S+/)?lib/python(?P<python>3\.\d+)/(?:site|dist)-packages)/[^/]+\.dist-info/METADATA"
)
_CLASSIFIER = "License :: "


@dataclass(frozen=True, slots=True)
class InstalledWheel:
    """An installed wheel.

    Attributes:
        name: Normalized name (PEP 503).
        version: Its version.
        summary: Its description in one line.
        licences: Licences in its metadata.
        needs: Normalized names of its requirements there, without extras.
        path: Path of its METADATA in the image, without a leading slash.
    """

    name: str
    version: str
    summary: str
    licences: tuple[Licence, ...]
    needs: tuple[str, ...]
    path: str


def parse_wheel(path: str, content: bytes) -> InstalledWheel:
    """Read the metadata of a wheel.

    Args:
        path: Its path in the image, of the form of `METADATA_PATH`.
        content: Its content.

    Returns:
        The wheel.

    Raises:
        ImageError: It lacks name or version, or lies elsewhere.
    """
    place = METADATA_PATH.fullmatch(path)
    fields, _ = parse_email(content)
    name, version = fields.get("name"), fields.get("version")
    if place is None or name is None or version is None:
        raise ImageError(f"{path}: is not the metadata of an installed wheel: Name or Version is missing")
    return InstalledWheel(
        str(canonicalize_name(name)),
        version,
        fields.get("summary", ""),
        _licences(fields.get("license_expression"), fields.get("classifiers", ()), fields.get("license")),
        _needs(fields.get("requires_dist", ()), place["python"]),
        path,
    )


def wheel_url(wheel: InstalledWheel) -> PackageURL:
    """Name a wheel (purl-spec, types/pypi-definition.json)."""
    return PackageURL("pypi", None, wheel.name, wheel.version)


def _licences(expression: str | None, classifiers: Sequence[str], text: str | None) -> tuple[Licence, ...]:
    if expression:
        return (licence_of(expression),)
    # `License` may hold the whole text of a licence: use it only if it is a name.
    if text and len(text.split()) == 1:
        return (licence_of(text),)
    names = {name.rpartition(" :: ")[2] for name in classifiers if name.startswith(_CLASSIFIER)}
    return tuple(sorted(_classified(name) for name in names))


def _classified(name: str) -> Licence:
    short = licence_of(name.removesuffix(" License"))
    return short if short.is_spdx else licence_of(name)


def _needs(requirements: Sequence[str], python: str) -> tuple[str, ...]:
    environment: Mapping[str, str] = {
        "extra": "",
        "implementation_name": "cpython",
        "os_name": "posix",
        "platform_machine": "x86_64",
        "platform_python_implementation": "CPython",
        "platform_system": "Linux",
        "python_full_version": f"{python}.0",
        "python_version": python,
        "sys_platform": "linux",
    }
    parsed = [Requirement(text) for text in requirements]
    return tuple(
        sorted(
            str(canonicalize_name(one.name))
            for one in parsed
            if one.marker is None or one.marker.evaluate(dict(environment))
        )
    )
