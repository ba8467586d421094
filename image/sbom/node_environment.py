"""The environment on the node that a weightless model uses, as components of its bill of materials."""

from collections.abc import Sequence
from dataclasses import dataclass

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from packageurl import PackageURL

_PLACE = Property(name="monobase:place", value="node")


@dataclass(frozen=True, slots=True)
class NodePackage:
    """A package of an environment.

    Attributes:
        name: Normalized name (PEP 503).
        version: Its version.
        sha256: Digest of its wheel, 64 hex digits.
    """

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class NodeEnvironment:
    """An environment that is not in the image.

    Attributes:
        generation: Name of its generation, such as `g00003`.
        name: Its name.
        digest: SHA-256 of its lock, 64 hex digits.
        packages: Its packages.
        replaced: Names of those that the image replaces by others.
    """

    generation: str
    name: str
    digest: str
    packages: Sequence[NodePackage]
    replaced: frozenset[str] = frozenset()


def environment_component(environment: NodeEnvironment) -> Component:
    """Return the component of an environment, without its packages."""
    version = f"{environment.generation}/{environment.name}"
    return Component(
        name="monobase-environment",
        version=version,
        type=ComponentType.FRAMEWORK,
        bom_ref=f"monobase-environment@{version}",
        description="An environment of the node's prefix, which is not in the image",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=environment.digest)],
        properties=[_PLACE],
    )


def package_components(environment: NodeEnvironment) -> list[Component]:
    """Return the components of the packages of an environment.

    A package that the image replaces is on the node, but no process of the model loads it: its scope is
    `excluded`.
    """
    return [_package(package, package.name in environment.replaced) for package in environment.packages]


def _package(package: NodePackage, is_replaced: bool) -> Component:
    url = PackageURL("pypi", None, package.name, package.version)
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.LIBRARY,
        # The image may hold the same version: two components of one purl.
        bom_ref=f"node:{url.to_string()}",
        purl=url,
        scope=ComponentScope.EXCLUDED if is_replaced else None,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=package.sha256)],
        properties=[_PLACE],
    )
