"""The environment that a model uses, on the node or in the image, as components of a bill of materials."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from cyclonedx.model import HashAlgorithm, HashType, Property
from cyclonedx.model.component import Component, ComponentScope, ComponentType
from packageurl import PackageURL

Place = Literal["node", "image"]
_DESCRIPTIONS: Mapping[Place, str] = {
    "node": "An environment of the node's prefix, which is not in the image",
    "image": "An environment of Monobase, in the image",
}


@dataclass(frozen=True, slots=True)
class NodePackage:
    """A package of an environment or a toolkit.

    Attributes:
        name: Normalized name (PEP 503).
        version: Its version.
        sha256: Digest of its wheel, 64 hex digits.
    """

    name: str
    version: str
    sha256: str


@dataclass(frozen=True, slots=True)
class NodeToolkit:
    """A toolkit in the image.

    Attributes:
        name: Its name, such as `cuda13.0`.
        digest: SHA-256 of its lock, 64 hex digits.
        packages: Its packages.
    """

    name: str
    digest: str
    packages: Sequence[NodePackage]


@dataclass(frozen=True, slots=True)
class NodeEnvironment:
    """An environment that a model uses.

    Attributes:
        generation: Name of its generation, such as `g00003`.
        name: Its name.
        digest: SHA-256 of its lock, 64 hex digits.
        packages: Its packages.
        replaced: Names of those that the image replaces by others.
        place: Where it is: on the node, or in the image.
        python: Full version of its interpreter, if that is in the image; else empty.
        toolkits: Its toolkits, if they are in the image.
    """

    generation: str
    name: str
    digest: str
    packages: Sequence[NodePackage]
    replaced: frozenset[str] = frozenset()
    place: Place = "node"
    python: str = ""
    toolkits: Sequence[NodeToolkit] = ()


def environment_component(environment: NodeEnvironment) -> Component:
    """Return the component of an environment, without its packages."""
    version = f"{environment.generation}/{environment.name}"
    return Component(
        name="monobase-environment",
        version=version,
        type=ComponentType.FRAMEWORK,
        bom_ref=f"monobase-environment@{version}",
        description=_DESCRIPTIONS[environment.place],
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=environment.digest)],
        properties=[_place(environment)],
    )


def interpreter_components(environment: NodeEnvironment) -> list[Component]:
    """Return the component of an interpreter that is in the image."""
    if not environment.python:
        return []
    url = PackageURL("generic", None, "cpython", environment.python)
    return [
        Component(
            name="cpython",
            version=environment.python,
            type=ComponentType.APPLICATION,
            bom_ref=url.to_string(),
            purl=url,
            properties=[_place(environment)],
        )
    ]


def package_components(environment: NodeEnvironment) -> dict[str, Component]:
    """Return the components of the packages of an environment, by their names.

    A package that the image replaces is there, but no process of the model loads it: its scope is `excluded`.
    """
    place = environment.place
    return {
        package.name: _package(
            package,
            "node" if place == "node" else "environment",
            environment,
            package.name in environment.replaced,
        )
        for package in environment.packages
    }


def toolkit_components(environment: NodeEnvironment) -> list[tuple[Component, list[Component]]]:
    """Return the components of the toolkits in the image, each with those of its packages."""
    return [
        (
            Component(
                name="monobase-toolkit",
                version=f"{environment.generation}/{toolkit.name}",
                type=ComponentType.FRAMEWORK,
                bom_ref=f"monobase-toolkit@{environment.generation}/{toolkit.name}",
                description="A toolkit of Monobase, in the image",
                hashes=[HashType(alg=HashAlgorithm.SHA_256, content=toolkit.digest)],
                properties=[_place(environment)],
            ),
            [_package(package, toolkit.name, environment, is_replaced=False) for package in toolkit.packages],
        )
        for toolkit in environment.toolkits
    ]


def _place(environment: NodeEnvironment) -> Property:
    return Property(name="monobase:place", value=environment.place)


def _package(package: NodePackage, owner: str, environment: NodeEnvironment, is_replaced: bool) -> Component:
    url = PackageURL("pypi", None, package.name, package.version)
    return Component(
        name=package.name,
        version=package.version,
        type=ComponentType.LIBRARY,
        # The image may hold the same version twice: several components of one purl.
        bom_ref=f"{owner}:{url.to_string()}",
        purl=url,
        scope=ComponentScope.EXCLUDED if is_replaced else None,
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=package.sha256)],
        properties=[_place(environment)],
    )
