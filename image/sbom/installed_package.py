"""Reads the installed Debian packages of an image (dpkg(1), /var/lib/dpkg/status; deb-control(5))."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from debian.deb822 import Packages
from packageurl import PackageURL

from image.errors import ImageError

STATUS_PATH = "var/lib/dpkg/status"
_INSTALLED = "install ok installed"
_SOURCE = re.compile(r"(?P<name>\S+)(?: \((?P<version>[^)]+)\))?")


@dataclass(frozen=True, slots=True)
class InstalledPackage:
    """An installed package.

    Attributes:
        name: Its name.
        version: Its version, with epoch.
        architecture: `amd64` or `all`.
        source: Name of the source package if the control file states it, because it differs.
        source_version: Version of the source package if the control file states it.
        maintainer: Its maintainer.
        homepage: Its home page; empty if there is none.
        summary: First line of its description.
        depends: Its dependencies (Pre-Depends and Depends): names, each with its alternatives.
        provides: Names of virtual packages that it provides.
    """

    name: str
    version: str
    architecture: str
    source: str = ""
    source_version: str = ""
    maintainer: str = ""
    homepage: str = ""
    summary: str = ""
    depends: tuple[tuple[str, ...], ...] = ()
    provides: tuple[str, ...] = ()


def parse_status(content: bytes, origin: str) -> tuple[InstalledPackage, ...]:
    """Read dpkg's status file.

    Args:
        content: Content of /var/lib/dpkg/status.
        origin: Source of the content, for messages.

    Returns:
        The installed packages, sorted by name.

    Raises:
        ImageError: A stanza lacks a mandatory field.
    """
    packages = []
    for stanza in Packages.iter_paragraphs(content, use_apt_pkg=False):
        missing = [name for name in ("Package", "Status", "Version", "Architecture") if name not in stanza]
        if missing:
            raise ImageError(
                f"{origin}: the stanza of {stanza.get('Package', 'a package')} has no {', '.join(missing)}"
            )
        if stanza["Status"] == _INSTALLED:
            packages.append(_package(stanza))
    return tuple(sorted(packages, key=lambda package: package.name))


def package_url(package: InstalledPackage, distribution: str) -> PackageURL:
    """Return the package URL of a package (purl-spec, types/deb-definition.json).

    `upstream` is Syft's qualifier: scanners look up vulnerabilities by source package.

    Args:
        package: The package.
        distribution: Such as `debian-13`.

    Returns:
        The package URL.
    """
    upstream = f"{package.source}@{package.source_version}" if package.source_version else package.source
    qualifiers = {"arch": package.architecture, "distro": distribution}
    return PackageURL(
        "deb",
        "debian",
        package.name,
        package.version,
        qualifiers | ({"upstream": upstream} if upstream else {}),
    )


def resolve_dependencies(packages: Sequence[InstalledPackage]) -> Mapping[str, tuple[str, ...]]:
    """Return the packages that each package needs.

    Args:
        packages: All installed packages.

    Returns:
        Names by name, sorted. Of alternatives, the first that is installed or provided.
    """
    providers = {package.name: package.name for package in packages}
    for package in packages:
        for name in package.provides:
            providers.setdefault(name, package.name)
    needs = {}
    for package in packages:
        found = {
            next((providers[name] for name in alternatives if name in providers), package.name)
            for alternatives in package.depends
        }
        needs[package.name] = tuple(sorted(found - {package.name}))
    return needs


def _package(stanza: Packages) -> InstalledPackage:
    source = _SOURCE.fullmatch(stanza.get("Source", ""))
    return InstalledPackage(
        name=stanza["Package"],
        version=stanza["Version"],
        architecture=stanza["Architecture"],
        source=source["name"] if source else "",
        source_version=(source["version"] or "") if source else "",
        maintainer=stanza.get("Maintainer", ""),
        homepage=stanza.get("Homepage", ""),
        summary=stanza.get("Description", "").partition("\n")[0],
        depends=(*_names(stanza, "pre-depends"), *_names(stanza, "depends")),
        provides=tuple(name for names in _names(stanza, "provides") for name in names),
    )


def _names(stanza: Packages, field: str) -> tuple[tuple[str, ...], ...]:
    relations: Any = stanza.relations[field]
    return tuple(tuple(str(one["name"]) for one in alternatives) for alternatives in relations)
