"""The base of a layer for tests: a generation with environments and a toolkit."""

import platform
from dataclasses import replace
from pathlib import Path

from gens.catalog import Catalog, load_catalog
from layers.base import Base, find_base
from layers.lock import LayerLock, content_digest, lock_digest
from tests.index.wheel import WheelSpec, write_wheel
from tests.layer.sample_lock import sample_lock
from tests.synthetic.catalog import environment_cell, on_platform, stack_cell, toolkit_cell, write_catalog

_PLATFORM = f"{platform.machine()}-manylinux_2_28"


def _make_catalog(folder: Path) -> Catalog:
    wheel = write_wheel(WheelSpec("torch", "2.13.0", files={"torch.py": b""}), folder / "wheels")
    environment = environment_cell([wheel], torch="2.13.0", build="cu130", python="3.12.1")
    older = environment_cell([wheel], torch="2.10.0", build="cu128", python="3.12.1")
    stack = stack_cell(
        environment_cell([wheel], torch="2.12.0", build="cu130", python="3.12.1"), "vllm", "0.33"
    )
    cells = [
        environment,
        older,
        stack,
        environment_cell([wheel], python="3.12.1"),
        toolkit_cell([wheel], "13.0.2"),
    ]
    on_this = [on_platform(cell, _PLATFORM) for cell in cells]
    return load_catalog(write_catalog(folder / "gens", {2: on_this}))


def lock_on(folder: Path, environment: str = "python3.12-torch2.13.0-cu130") -> tuple[LayerLock, Catalog]:
    """Return a layer lock on an environment of a generation that is written, and the generation's catalog.

    Args:
        folder: The folder for files.
        environment: Name of the environment.
    """
    catalog = _make_catalog(folder)
    generation = catalog.generation(2)
    found = next(it for it in generation.environments if it.name == environment)
    text = catalog.lock_path(generation, found).read_text()
    lock = sample_lock(folder / "layer wheels", environment=environment, base=lock_digest(text))
    return replace(lock, content=content_digest(catalog.lock(generation, found).wheels)), catalog


def base_of(folder: Path, environment: str = "python3.12-torch2.13.0-cu130") -> Base:
    """Return the base of such a lock, in a prefix that does not exist.

    Args:
        folder: The folder for files.
        environment: Name of the environment.
    """
    lock, catalog = lock_on(folder, environment)
    return find_base(lock, catalog, folder / "prefix")
