"""Settings of an image with an environment in it: what its BUILD file says, and what follows from it."""

from dataclasses import replace

from image.errors import ImageError
from image.model.baked_environment import BakedEnvironment
from image.model.derived_image import DerivedSettings
from image.model.model_settings import LABEL_PREFIX
from image.oci.config import ANNOTATION_PREFIX
from image.oci.layout import Layout, read_json


def baked_settings(
    baked: BakedEnvironment, base: Layout, given: DerivedSettings, title: str
) -> DerivedSettings:
    """Complete the settings of an image by what its environment decides.

    Args:
        baked: The environment.
        base: The image below.
        given: What the BUILD file says.
        title: Name of the image.

    Returns:
        The settings of the image.

    Raises:
        ImageError: The BUILD file contradicts the environment.
    """
    for name, value in baked.variables.items():
        if given.environment.get(name, value) != value:
            raise ImageError(
                f"env of {title}: {name} is {given.environment[name]!r}, but {value!r} selects"
                f" {baked.environment}; remove it from env"
            )
    labels = {
        f"{ANNOTATION_PREFIX}.title": title,
        f"{LABEL_PREFIX}.base": baked.base,
        f"{LABEL_PREFIX}.environment": baked.environment,
        f"{LABEL_PREFIX}.generation": str(baked.generation),
    }
    if baked.toolkits:
        labels[f"{LABEL_PREFIX}.toolkits"] = " ".join(toolkit.name for toolkit in baked.toolkits)
    licence = (
        read_json(base.path(base.config))["config"].get("Labels", {}).get(f"{ANNOTATION_PREFIX}.licenses")
    )
    if licence:
        # That of the runtime, for the bills of images on top: the environment's packages have others.
        labels[f"{LABEL_PREFIX}.licenses"] = licence
    return replace(
        given,
        environment=dict(baked.variables) | dict(given.environment),
        labels=labels | dict(given.labels),
    )
