"""Records what the import of each environment reads, for models that start on a cold page cache."""

from collections.abc import Callable, Sequence

from rich.filesize import decimal

from daemon.errors import DamageError, InterpreterError, NewerFormatError
from daemon.host.free_memory import free_memory_bytes
from daemon.interpreters.import_run import run_import
from daemon.prefix.generation import is_present, list_generation
from daemon.prefix.prefetch_list import (
    PrefetchFile,
    PrefetchList,
    environment_digest,
    keep_prefetch_lists,
    read_prefetch_list,
    write_prefetch_list,
)
from daemon.prefix.prefix import Prefix
from daemon.report.progress import Reporter
from gens.errors import MonobaseError
from gens.generation import Environment, Generation

_LEAST_MEMORY_BYTES = 1_000_000_000  # importing Torch 2.13.0 with CUDA takes 0.6 GB


def imported_modules(environment: Environment) -> tuple[str, ...]:
    """Return the modules that models of an environment import first; none for a plain Python."""
    modules = [] if environment.torch is None else ["torch"]
    if environment.stack is not None:
        modules.append(environment.stack.replace("-", "_"))
    return tuple(modules)


def tree_identity(prefix: Prefix, generation: Generation, environment: Environment) -> tuple[int, int]:
    """Return what changes when an environment is replaced: inode and time of its folder.

    Raises:
        OSError: It is not there.
    """
    status = prefix.target(generation.directory_name, environment.name).stat()
    return status.st_ino, status.st_mtime_ns


def is_recorded(prefix: Prefix, generation: Generation, environment: Environment) -> bool:
    """Return whether there is a list for an environment as it is now, or one of a newer release.

    Raises:
        OSError: The environment is not there.
        DamageError: Its manifest is damaged.
    """
    directory, name = generation.directory_name, environment.name
    digest = environment_digest(prefix, directory, name)
    try:
        found = read_prefetch_list(prefix, directory, name)
    except NewerFormatError:
        return True
    except DamageError:
        return False
    return found is not None and found.manifest_sha256 == digest


def record_import(prefix: Prefix, generation: Generation, environment: Environment) -> PrefetchList | None:
    """Import the modules of an environment, and keep the list of what that reads.

    Args:
        prefix: The prefix.
        generation: The generation of the environment.
        environment: The environment, which is installed.

    Returns:
        The list; None if the machine has too little memory now.

    Raises:
        MonobaseError: It cannot be recorded.
        OSError: It cannot be written.
    """
    directory, name = generation.directory_name, environment.name
    if free_memory_bytes() < _LEAST_MEMORY_BYTES:
        return None
    digest = environment_digest(prefix, directory, name)
    modules = imported_modules(environment)
    files, failed = run_import(prefix.target(directory, name) / "bin" / "python", prefix.root, modules)
    if "torch" in failed or len(failed) == len(modules):
        module, error = next(iter(failed.items()))
        raise InterpreterError(f"{directory}/{name}: {module} cannot be imported: {error}")
    kept = tuple(PrefetchFile(file.path, file.ranges) for file in files)
    found = PrefetchList(directory, name, digest, kept)
    write_prefetch_list(prefix, found)
    return found


def record_imports(
    prefix: Prefix,
    generations: Sequence[Generation],
    reporter: Reporter,
    is_over: Callable[[], bool] = lambda: False,
    is_due: Callable[[Generation, Environment], bool] = lambda _generation, _environment: True,
) -> list[str]:
    """Record the imports of all installed environments that have no list; remove lists of those that went.

    An environment whose import cannot be recorded is reported, and stays without a list.

    Args:
        prefix: The prefix.
        generations: The generations to look at.
        reporter: Receives what was recorded, and why something was not.
        is_over: Called before each environment: whether to stop here.
        is_due: Called for each installed environment: whether to look at it.

    Returns:
        Labels of the environments for which there is too little memory now.
    """
    postponed: list[str] = []
    keep_prefetch_lists(prefix, _installed(prefix))
    for generation in generations:
        for environment in generation.environments:
            if is_over():
                return postponed
            label = f"{generation.directory_name}/{environment.name}"
            try:
                if not _is_wanted(prefix, generation, environment, is_due):
                    continue
                found = record_import(prefix, generation, environment)
            except (MonobaseError, OSError) as error:
                reporter.warning(f"{label}: what its import reads was not recorded: {error}")
                continue
            if found is None:
                postponed.append(label)
            else:
                reporter.tell(
                    f"{label}: recorded what its import reads: {decimal(found.total_bytes)} "
                    f"of {len(found.files)} files",
                    files=len(found.files),
                    bytes=found.total_bytes,
                )
    return postponed


def _is_wanted(
    prefix: Prefix,
    generation: Generation,
    environment: Environment,
    is_due: Callable[[Generation, Environment], bool],
) -> bool:
    if not imported_modules(environment) or not is_present(prefix, generation, environment):
        return False
    return is_due(generation, environment) and not is_recorded(prefix, generation, environment)


def _installed(prefix: Prefix) -> dict[str, set[str]]:
    return {
        generation: {entry.name for entry in list_generation(prefix, generation)}
        for generation in prefix.installed_generations()
    }
