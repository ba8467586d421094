"""Settings of a model's image: what its BUILD file says, and what follows from its environment."""

from collections.abc import Mapping

from image.errors import ImageError
from image.model.derived_image import DerivedSettings
from image.model.facts import ModelFacts
from image.oci.config import ANNOTATION_PREFIX
from image.oci.layout import Layout, read_json

# Where the layer of packages is, in every image: nothing of it depends on the model.
LAYER_FOLDER = "/opt/venv"
LABEL_PREFIX = "monobase"


def model_settings(facts: ModelFacts, given: DerivedSettings, title: str) -> DerivedSettings:
    """Complete the settings of a model by what its environment decides.

    Args:
        facts: The environment.
        given: What the BUILD file says.
        title: Name of the model.

    Returns:
        The settings of the image.

    Raises:
        ImageError: The BUILD file contradicts the lock.
    """
    decided = dict(facts.variables) | {"MONOBASE_USER_VENV": LAYER_FOLDER}
    _refuse_contradiction(facts, given.environment, decided)
    labels = {
        f"{ANNOTATION_PREFIX}.title": title,
        f"{LABEL_PREFIX}.base": facts.base,
        f"{LABEL_PREFIX}.environment": facts.environment,
        f"{LABEL_PREFIX}.generation": str(facts.generation),
    }
    return DerivedSettings(
        given.command,
        given.entrypoint,
        decided | dict(given.environment),
        given.exposed_ports,
        labels | dict(given.labels),
        given.stop_signal,
        given.user,
        given.working_directory,
    )


def refuse_other_environment(base: Layout, facts: ModelFacts) -> None:
    """Refuse an image below that holds another environment than the lock was solved against.

    Args:
        base: The image below.
        facts: The environment of the lock.

    Raises:
        ImageError: It does; the message has both.
    """
    labels = read_json(base.path(base.config)).get("config", {}).get("Labels") or {}
    held = labels.get(f"{LABEL_PREFIX}.base", facts.base)
    if held != facts.base:
        holds = labels.get(f"{LABEL_PREFIX}.environment"), labels.get(f"{LABEL_PREFIX}.generation")
        raise ImageError(
            f"{base.directory}: holds {holds[0]} of generation {holds[1]}, with the lock {held}, but the"
            f" layer was solved against {facts.environment} of generation {facts.generation}, with the lock"
            f" {facts.base}; name a base with that environment, or lock again"
        )


def _refuse_contradiction(facts: ModelFacts, given: Mapping[str, str], decided: Mapping[str, str]) -> None:
    for name in (*decided, "PYTHON_VERSION", "TORCH_VERSION", "MONOBASE_STACK"):
        if name in given and given[name] != decided.get(name):
            wanted = "not set" if name not in decided else f"{decided[name]!r}"
            raise ImageError(
                f"env of the model: {name} is {given[name]!r}, but with {facts.environment} of generation"
                f" {facts.generation}, which the lock was solved against, it is {wanted}; remove it from env"
            )
