"""The environment that an image holds: format 1, JSON, in the image itself.

An image on top of the image with the environment is described by it as well.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from gens.catalog import Catalog
from gens.errors import DefinitionError
from gens.generation import Environment, Generation, Target, Toolkit
from gens.lock import LockedWheel
from image.architecture import Architecture
from image.errors import ImageError
from image.model.facts import BasePackage
from image.model.variables import selecting_variables
from layers.install import DEFAULT_PREFIX
from layers.lock import lock_digest

BAKED_PATH = f"{DEFAULT_PREFIX}/.baked.json".lstrip("/")
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class BakedToolkit:
    """A toolkit in an image.

    Attributes:
        name: Its name, such as `cuda13.0`.
        base: Digest of the text of its lock: `sha256:` and 64 hex digits.
        packages: Its packages, in order of their names.
    """

    name: str
    base: str
    packages: tuple[BasePackage, ...]


@dataclass(frozen=True, slots=True)
class BakedEnvironment:
    """An environment in an image.

    Attributes:
        generation: ID of the generation.
        environment: Name of the environment.
        python: Full version of its interpreter, such as `3.11.18`.
        base: Digest of the text of its lock: `sha256:` and 64 hex digits.
        architecture: Architecture of the image (GOARCH).
        variables: Variables that select the environment and its toolkits.
        packages: Its packages, in order of their names.
        toolkits: Its toolkits.
    """

    generation: int
    environment: str
    python: str
    base: str
    architecture: str
    variables: Mapping[str, str]
    packages: tuple[BasePackage, ...]
    toolkits: tuple[BakedToolkit, ...] = ()


def find_baked(
    catalog: Catalog,
    architecture: Architecture,
    generation_id: int,
    environment: str,
    toolkits: tuple[str, ...],
) -> BakedEnvironment:
    """Describe an environment of a generation, with some of its toolkits.

    Args:
        catalog: The generations.
        architecture: Architecture of the image.
        generation_id: ID of the generation.
        environment: Name of the environment.
        toolkits: Names of the toolkits.

    Returns:
        The environment.

    Raises:
        ImageError: The generation lacks it, or one of the toolkits, for the architecture.
        LockError: A lock is malformed.
    """
    try:
        generation = catalog.generation(generation_id).for_machine(architecture.triplet.partition("-")[0])
        targets = [generation.target(name) for name in (environment, *toolkits)]
    except DefinitionError as error:
        raise ImageError(f"the environment to bake: {error}") from error
    found, *others = targets
    if not isinstance(found, Environment):
        raise ImageError(f"{environment}: is a toolkit; name an environment, and this among toolkits")
    variables = selecting_variables(generation_id, found)
    baked = []
    for toolkit in others:
        if not isinstance(toolkit, Toolkit):
            raise ImageError(
                f"{toolkit.name}: is an environment, not a toolkit; an image has one environment"
            )
        variables["CUDA_VERSION" if toolkit.product == "cuda" else "CUDNN_VERSION"] = toolkit.version
        baked.append(BakedToolkit(toolkit.name, *_locked(catalog, generation, toolkit)))
    base, packages = _locked(catalog, generation, found)
    return BakedEnvironment(
        generation_id,
        environment,
        found.python_full,
        base,
        architecture.name,
        variables,
        packages,
        tuple(baked),
    )


def _locked(catalog: Catalog, generation: Generation, target: Target) -> tuple[str, tuple[BasePackage, ...]]:
    lock = catalog.lock(generation, target)
    text = catalog.lock_path(generation, target).read_text(encoding="utf-8")
    return lock_digest(text), tuple(_package(wheel) for wheel in lock.wheels)


def _package(wheel: LockedWheel) -> BasePackage:
    return BasePackage(wheel.name, wheel.version, wheel.sha256)


def format_baked(baked: BakedEnvironment) -> str:
    """Return the description as JSON, always the same bytes for the same environment."""
    return json.dumps({"format": _FORMAT} | asdict(baked), indent=1) + "\n"


def parse_baked(content: bytes, path: Path) -> BakedEnvironment:
    """Read the description of an environment in an image.

    Args:
        content: The description.
        path: Its file, for messages.

    Returns:
        The environment.

    Raises:
        ImageError: It is not a description of format 1.
    """
    try:
        found = json.loads(content)
        if not isinstance(found, dict) or found.pop("format", None) != _FORMAT:
            raise ImageError(f"{path}: is not the description of an environment of format {_FORMAT}")
        return msgspec.convert(found, BakedEnvironment)
    except ValueError as error:
        raise ImageError(f"{path}: cannot be read as the description of an environment: {error}") from error
