"""Installs a layer with wheels that are compiled against its base."""

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from layers.base import Base
from layers.errors import LayerDiskError
from layers.extension import ACTIVATION, add_built, build_wheels
from layers.install import InstalledLayer, LayerOptions, install_layer
from layers.lock import LayerLock


@dataclass(frozen=True, slots=True)
class Compilation:
    """The projects to compile against a base, and where their wheels go.

    Attributes:
        sources: As pip takes them: folders, source distributions, Git URLs, `NAME==VERSION` on an index.
        wheel_directory: Folder that keeps the wheels, or None.
        activation: The runtime's `exec`.
    """

    sources: tuple[str, ...] = ()
    wheel_directory: Path | None = None
    activation: Path = ACTIVATION


def install_compiled_layer(
    lock: LayerLock, to: Path, options: LayerOptions, base: Base, compilation: Compilation
) -> InstalledLayer:
    """Install a layer on a base that is installed here, with what has to be compiled against it.

    The layer is compiled with the base's interpreter. If a build fails, the folder is as it was.

    Args:
        lock: The lock; the wheels that are built are added to it.
        to: The folder.
        options: How.
        base: The base, installed.
        compilation: What to compile.

    Returns:
        What was installed.

    Raises:
        LayerBuildError: A wheel cannot be built, or does not fit.
        LayerDiskError: The folder for the wheels cannot be made, or written to.
        MonobaseError: As of `install_layer`.
    """
    options = replace(options, python=options.python or base.python)
    if not compilation.sources:
        return install_layer(lock, to, options)
    if compilation.wheel_directory is not None:
        _keep(compilation.wheel_directory, [])
    with tempfile.TemporaryDirectory(prefix="monobase-build-") as scratch:
        # Builds see what the lock has: it may have what they need, such as another build backend.
        below, wheels = Path(scratch, "layer"), Path(scratch, "wheels")
        install_layer(lock, below, options)
        wheels.mkdir()
        built = build_wheels(base, below, compilation.sources, wheels, compilation.activation)
        full = add_built(lock, base, built)
        folders = tuple(it.path.parent for it in built)
        sources = replace(options.sources, folders=(*options.sources.folders, *folders))
        made = install_layer(full, to, replace(options, sources=sources))
        if compilation.wheel_directory is not None:
            _keep(compilation.wheel_directory, [it.path for it in built])
    return made


def _keep(folder: Path, wheels: Sequence[Path]) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for wheel in wheels:
            shutil.copyfile(wheel, folder / wheel.name)
    except OSError as error:
        raise LayerDiskError(f"{folder}: cannot keep the wheels that are built: {error.strerror}") from error
