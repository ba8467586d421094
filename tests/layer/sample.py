"""A layer on an environment of the sample prefix."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from layers.install import LayerOptions, install_layer
from layers.lock import LayerLock
from layers.uv import WheelSources
from runtime.sample_prefix import PYTHON, SamplePrefix
from tests.index.wheel import WheelSpec
from tests.layer.sample_lock import sample_lock

ENVIRONMENT = f"python{PYTHON}-torch2.4.1-cpu"


def lock_on_sample(folder: Path, *specs: WheelSpec, **changes: Any) -> LayerLock:  # noqa: ANN401 (fields of the lock)
    """Return a lock whose base is an environment of the sample prefix, with its wheels in a folder.

    Args:
        folder: The folder.
        specs: The wheels.
        changes: Fields of the lock.
    """
    return sample_lock(folder, *specs, **{"environment": ENVIRONMENT, "content": None, **changes})


def layer_on(prefix: SamplePrefix, to: Path, *specs: WheelSpec, **changes: Any) -> Path:  # noqa: ANN401 (fields of the lock)
    """Make a layer on an environment of the sample prefix.

    Args:
        prefix: The prefix.
        to: The layer.
        specs: Its wheels.
        changes: Fields of its lock.
    """
    folder = to.with_name(f"wheels of {to.name}")
    lock = lock_on_sample(folder, *specs, **changes)
    install_layer(lock, to, LayerOptions(prefix=prefix.root, sources=WheelSources((folder,))))
    return to


def variables_of(prefix: SamplePrefix, layer: Path, **variables: str) -> Mapping[str, str]:
    """Return the variables of a model with a layer."""
    return {
        "MONOBASE_PREFIX": str(prefix.root),
        "MONOBASE_USER_VENV": str(layer),
        "PYTHON_VERSION": PYTHON,
        "TORCH_VERSION": "2.4.1",
    } | variables
