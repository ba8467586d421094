"""The layer of `shell --layer`: read from its lock, made once, and kept in the user's cache."""

import platform
from hashlib import sha256
from pathlib import Path

from rich.filesize import decimal

from daemon.cli.shell_settings import users_directory
from daemon.prefix.prefix import Prefix
from daemon.report.progress import Reporter
from gens.catalog import Catalog
from gens.errors import LockError
from gens.generation import Environment, Generation
from layers.errors import LayerDiskError
from layers.install import LayerOptions, install_layer
from layers.layer_file import is_layer
from layers.lock import LayerLock, content_digest, format_layer_lock, read_layer_lock, wheels_directory
from layers.uv import WheelSources


def read_lock(path: Path) -> LayerLock:
    """Read a layer lock for this machine.

    Raises:
        LockError: It is missing, malformed, or for another machine.
    """
    lock = read_layer_lock(path)
    if lock.machine != platform.machine():
        raise LockError(
            f"{path}: has wheels for {lock.machine}, and this machine is {platform.machine()}; "
            f"lock again with `bazel run //tools:layer -- lock --machine {platform.machine()} -o OTHER.lock`"
        )
    return lock


def check_base(path: Path, lock: LayerLock, catalog: Catalog, base: tuple[Generation, Environment]) -> None:
    """Refuse a lock that was made for other wheels than its environment has.

    Args:
        path: The lock.
        lock: What it says.
        catalog: The locks of environments.
        base: The environment with the name that the lock has, and its generation.

    Raises:
        LockError: It was made for others, or the environment's lock cannot be read.
    """
    found = content_digest(catalog.lock(*base).wheels)
    if lock.content is not None and lock.content != found:
        name = f"{lock.generation}/{lock.environment}"
        raise LockError(
            f"{path}: was made for an environment with other wheels than {name} has: {lock.content}, not "
            f"{found}; lock again with `bazel run //tools:layer -- lock -o {path.name}`"
        )


def make_layer(
    path: Path, lock: LayerLock, prefix: Prefix, index_url: str | None, reporter: Reporter
) -> Path:
    """Install a layer for a prefix, unless the cache has it.

    Args:
        path: The lock; wheels that were built for it are beside it.
        lock: What it says.
        prefix: The prefix, which has the environment.
        index_url: Default index, or None for that of the lock, or of uv's configuration.
        reporter: Reports that the layer is installed, and warnings.

    Returns:
        The layer.

    Raises:
        MonobaseError: It cannot be installed.
    """
    # As `NAME.run` of a `weightless_model` does: both use the same layers.
    key = sha256(f"{prefix.root}\n{format_layer_lock(lock)}".encode()).hexdigest()[:32]
    layer = cache_directory() / key
    if not is_layer(layer):
        reporter.tell(
            f"installing the layer of {path}: {len(lock.wheels)} packages, {decimal(lock.size_bytes)}"
        )
        python = prefix.target(lock.generation, lock.environment) / "bin" / "python"
        options = LayerOptions(
            prefix.root, WheelSources(index_url=index_url), wheels_directory(path), python, reporter.warning
        )
        # By itself, it would make folders that every user may read.
        try:
            layer.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise LayerDiskError(
                f"{layer.parent}: cannot be made: {error.strerror}; set XDG_CACHE_HOME to a folder that can"
            ) from error
        install_layer(lock, layer, options)
    return layer


def cache_directory() -> Path:
    """Return the folder of layers in the user's cache, of the XDG specification."""
    return users_directory("XDG_CACHE_HOME", "~/.cache") / "monobase" / "layers"
