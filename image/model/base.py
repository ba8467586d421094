"""Finds the environment that a layer was locked against, and checks that it is still the same."""

from pathlib import Path

from gens.catalog import Catalog
from gens.errors import DefinitionError
from gens.generation import Environment, generation_directory_name
from gens.lock import parse_lock
from image.architecture import Architecture
from image.errors import ImageError
from image.model.facts import BasePackage, ModelFacts
from image.model.variables import selecting_variables
from layers.lock import LayerLock, lock_digest


def find_base(lock: LayerLock, path: Path, catalog: Catalog, architecture: Architecture) -> ModelFacts:
    """Return the facts of the base of a layer.

    Args:
        lock: The lock of the layer.
        path: Its file, for messages.
        catalog: The generations.
        architecture: Architecture of the image.

    Returns:
        The facts.

    Raises:
        ImageError: The lock is for another machine, or the generations do not have its base as it was locked.
        LockError: The lock of the base is malformed.
    """
    machine = architecture.triplet.partition("-")[0]
    if lock.machine != machine:
        raise ImageError(
            f"{path}: is for {lock.machine}, and an image for {architecture.name} needs one for {machine};"
            f' lock again with --machine {machine}, and write lock = {{"{architecture.name}": …}}'
        )
    environment = _environment(lock, path, catalog)
    base_path = catalog.locks_directory / lock.generation / environment.lock_name
    try:
        text = base_path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        raise ImageError(f"{base_path}: the lock of the base of {path} cannot be read: {error}") from error
    if lock_digest(text) != lock.base:
        raise ImageError(
            f"{path}: was solved against {lock.environment} of {lock.generation} with the lock {lock.base},"
            f" but {base_path} is {lock_digest(text)}; lock again: `bazel run //tools:layer -- lock`"
        )
    packages = [BasePackage(one.name, one.version, one.sha256) for one in parse_lock(text, base_path).wheels]
    return ModelFacts(
        lock.generation_id,
        lock.environment,
        lock.base,
        architecture.name,
        selecting_variables(lock.generation_id, environment),
        tuple(packages),
        tuple(override.name for override in lock.overrides),
    )


def refuse_other_base(lock: LayerLock, path: Path, generation: str, environment: str) -> None:
    """Refuse a lock that was not made for what a BUILD file names.

    Args:
        lock: The lock of the layer.
        path: Its file, for messages.
        generation: What the BUILD file says: `3` or `g00003`; empty for nothing.
        environment: What the BUILD file says, such as `python3.12-torch2.13.0-cu130`; empty for nothing.

    Raises:
        ImageError: They differ; the message has both.
    """
    name = generation_directory_name(int(generation)) if generation.isdecimal() else generation
    for what, said, locked in (
        ("gen", name, lock.generation),
        ("environment", environment, lock.environment),
    ):
        if said and said != locked:
            raise ImageError(
                f"{path}: was solved against {locked}, but the BUILD file says {what} = {said!r};"
                f" remove {what}, which is the lock's by default, or lock again with"
                f" `--gen {lock.generation if what != 'gen' else said} --env"
                f" {lock.environment if what != 'environment' else said}`"
            )


def _environment(lock: LayerLock, path: Path, catalog: Catalog) -> Environment:
    try:
        generation = catalog.generation(lock.generation_id).for_machine(lock.machine)
    except DefinitionError as error:
        raise ImageError(f"{path}: was solved against {lock.generation}: {error}") from error
    for environment in generation.environments:
        if environment.name == lock.environment:
            return environment
    raise ImageError(
        f"{path}: was solved against {lock.environment}, which {lock.generation} does not have for"
        f" {lock.machine}; `bazel run //tools:matrix -- --min-gen-id {lock.generation_id}` lists what it has"
    )
