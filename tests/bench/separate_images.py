"""Computes from the locks the sizes of separate images, one for each environment of a generation.

Bytes are those of wheel files. Wheels are deflated archives, and layers mostly are deflated tar archives of
the same files: the one is a fair stand-in for the other. What favours separate images is chosen throughout:
they have no compilers and no Python of their own, and an image for itself holds each wheel once, whoever asks
for it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gens.catalog import Catalog
from gens.generation import Environment, Generation, Toolkit
from gens.lock import Lock

_CUDNN = "nvidia-cudnn-cu"

Wheels = Mapping[str, int]
"""Sizes of wheels in bytes, by SHA-256."""


@dataclass(frozen=True, slots=True)
class SeparateImage:
    """The image of one environment, apart from the system below it.

    Attributes:
        environment: Name of the environment.
        wheels: The environment's wheels.
        toolkits: The wheels of the toolkits that its build of Torch belongs to, by the toolkit's name.
    """

    environment: str
    wheels: Wheels
    toolkits: Mapping[str, Wheels]


def separate_images(catalog: Catalog, generation: Generation) -> tuple[SeparateImage, ...]:
    """Return the image that each environment of a generation would be.

    Args:
        catalog: Where the locks lie.
        generation: The generation.

    Returns:
        The images, in the order of the generation's environments.

    Raises:
        LockError: A lock is missing or wrong.
    """
    images = []
    for environment in generation.environments:
        lock = catalog.lock(generation, environment)
        toolkits = {
            toolkit.name: _wheels(catalog.lock(generation, toolkit))
            for toolkit in generation.toolkits
            if _matches(toolkit, environment, lock)
        }
        images.append(SeparateImage(environment.name, _wheels(lock), toolkits))
    return tuple(images)


def held_bytes(images: Sequence[SeparateImage], base_bytes: int, *, with_toolkits: bool) -> int:
    """Sum up what images hold, each for itself.

    Args:
        images: The images.
        base_bytes: Size of the system in each.
        with_toolkits: Whether an image of a CUDA build has the toolkits as well, as the `cudnn-devel` images
            that such images are made from have them.

    Returns:
        The sum over all images.
    """
    total_bytes = 0
    for image in images:
        wheels = dict(image.wheels)
        if with_toolkits:
            for toolkit in image.toolkits.values():
                wheels.update(toolkit)
        total_bytes += base_bytes + sum(wheels.values())
    return total_bytes


def layered_bytes(images: Sequence[SeparateImage], base_bytes: int, *, with_toolkits: bool) -> int:
    """Sum up the distinct layers of images that are stacked as Dockerfiles stack them, `FROM` shared layers.

    The system is a layer, each toolkit another one, and each environment a third, which is nobody else's: its
    folder has Python's version in its path, and two Torch releases agree on few of their dependencies. What
    an environment shares with a toolkit lies in other folders there, so it is in both layers.

    Args:
        images: The images.
        base_bytes: Size of the system.
        with_toolkits: As of `held_bytes`.

    Returns:
        What a registry or a node keeps of all of them.
    """
    layers = [image.wheels for image in images]
    if with_toolkits:
        layers += {name: wheels for image in images for name, wheels in image.toolkits.items()}.values()
    return base_bytes + sum(sum(wheels.values()) for wheels in layers)


def distinct_wheel_bytes(catalog: Catalog, generation: Generation) -> int:
    """Count each wheel of a generation once, toolkits included, as a node of Monobase downloads them.

    Args:
        catalog: Where the locks lie.
        generation: The generation.

    Returns:
        The sum of their sizes.

    Raises:
        LockError: A lock is missing or wrong.
    """
    wheels: dict[str, int] = {}
    for target in generation.targets:
        wheels.update(_wheels(catalog.lock(generation, target)))
    return sum(wheels.values())


def _matches(toolkit: Toolkit, environment: Environment, lock: Lock) -> bool:
    """Return whether a toolkit belongs to a build: the CUDA of the build, or the cuDNN of its Torch."""
    if environment.cuda is None:
        return False
    if toolkit.product == "cuda":
        return toolkit.version == environment.cuda
    return any(
        wheel.name == f"{_CUDNN}{toolkit.cuda_major}" and wheel.version.split(".")[0] == toolkit.version
        for wheel in lock.wheels
    )


def _wheels(lock: Lock) -> Wheels:
    return {wheel.sha256: wheel.size_bytes for wheel in lock.wheels}
