"""Describes an environment for the bill of materials of an image that uses it."""

from collections.abc import Sequence

from gens.generation import generation_directory_name
from image.model.baked_environment import BakedEnvironment
from image.model.facts import BasePackage, ModelFacts
from image.sbom.node_environment import NodeEnvironment, NodePackage, NodeToolkit


def node_environment(facts: ModelFacts) -> NodeEnvironment:
    """Describe the environment on the node that a model uses."""
    return NodeEnvironment(
        generation_directory_name(facts.generation),
        facts.environment,
        facts.base.removeprefix("sha256:"),
        _packages(facts.packages),
        frozenset(facts.overridden),
    )


def image_environment(baked: BakedEnvironment, overridden: Sequence[str] = ()) -> NodeEnvironment:
    """Describe the environment that an image holds.

    Args:
        baked: The environment.
        overridden: Names of its packages that a layer replaces.
    """
    return NodeEnvironment(
        generation_directory_name(baked.generation),
        baked.environment,
        baked.base.removeprefix("sha256:"),
        _packages(baked.packages),
        frozenset(overridden),
        "image",
        baked.python,
        tuple(
            NodeToolkit(toolkit.name, toolkit.base.removeprefix("sha256:"), _packages(toolkit.packages))
            for toolkit in baked.toolkits
        ),
    )


def _packages(packages: Sequence[BasePackage]) -> tuple[NodePackage, ...]:
    return tuple(NodePackage(package.name, package.version, package.sha256) for package in packages)
