"""The command `shell`: becomes a shell or a command in an environment, installed before if it is missing."""

import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, NoReturn

import click

from daemon.cli.install_options import install_options
from daemon.cli.node_catalog import NodeCatalog
from daemon.cli.reporting import make_reporter
from daemon.cli.shell_environment import find_environment, find_toolkit
from daemon.cli.shell_program import Program, program
from daemon.cli.shell_settings import ShellSettings
from daemon.cli.shell_variables import callers_variables, layer_variables, selecting_variables
from daemon.errors import MachineError
from daemon.install import pipeline
from daemon.prefix.generation import is_present
from daemon.prefix.prefix import Prefix, prefix_at
from daemon.report.progress import Reporter
from daemon.uv.program import find_uv
from gens.catalog import Catalog
from gens.generation import Environment, Generation, Target

if TYPE_CHECKING:
    from layers.lock import LayerLock


def shell(settings: ShellSettings) -> NoReturn:
    """Install what is missing of an environment, and become a command or a shell in it."""
    reporter = make_reporter(settings.program.log_format)
    prefix = prefix_at(settings.prefix.absolute())
    catalog = NodeCatalog(settings.program.gens, reporter.info).load()
    layers = _layers() if settings.layer is not None else None
    lock = layers.read_lock(settings.layer) if layers is not None else None
    generation, environment = _find(settings, catalog, lock)
    if layers is not None:
        layers.check_base(settings.layer, lock, catalog, (generation, environment))
    toolkit = find_toolkit(generation, environment) if settings.toolkit else None
    wanted: list[Target] = [environment, *([] if toolkit is None else [toolkit])]
    missing = [item for item in wanted if not is_present(prefix, generation, item)]
    if missing:
        _install(settings, prefix, catalog, generation, missing, reporter)
    variables = selecting_variables(
        callers_variables(os.environ), prefix.root, generation, environment, toolkit
    )
    label = f"{generation.directory_name}/{environment.name}"
    if settings.layer is not None and layers is not None:
        index_url = settings.work.index_url
        folder = layers.make_layer(settings.layer, lock, prefix, index_url, reporter)
        variables = layer_variables(variables, folder)
        label = f"{label} + {settings.layer.name}"
    found = program(settings.command, label, variables)
    if not settings.command:
        reporter.tell(f"{label} of {prefix.root}; `exit` leaves it")
    _become(found)


def _layers() -> Any:  # noqa: ANN401 (a module)
    """Load the module of layers, which the daemon's image has no use for."""
    try:
        return import_module("daemon.cli.shell_layer")
    except ModuleNotFoundError as error:
        raise click.UsageError(
            "this program is built without layers; use `bazel run //daemon -- shell --layer`"
        ) from error


def _find(
    settings: ShellSettings, catalog: Catalog, lock: "LayerLock | None"
) -> tuple[Generation, Environment]:
    """Return the environment that the options, or the lock of a layer, name."""
    if lock is not None:
        base = find_environment(catalog.generations, lock.environment, lock.generation_id)
        generation_id = lock.generation_id if settings.gen is None else settings.gen
        if find_environment(catalog.generations, settings.env or lock.environment, generation_id) != base:
            raise click.UsageError(
                f"--layer {settings.layer} is for {lock.generation}/{lock.environment}: leave out --env "
                "and --gen, or lock it for another environment with `bazel run //tools:layer -- lock`"
            )
        return base
    if settings.env is None:
        raise click.UsageError(
            "--env names the environment, such as --env python3.12-torch2.13.0-cu130; --layer takes that of "
            "a layer lock; `bazel run //tools:matrix` lists all"
        )
    return find_environment(catalog.generations, settings.env, settings.gen)


def _install(
    settings: ShellSettings,
    prefix: Prefix,
    catalog: Catalog,
    generation: Generation,
    missing: Sequence[Target],
    reporter: Reporter,
) -> None:
    """Install the missing targets of a generation; end with the code of the first failure."""
    names = tuple(item.name for item in missing)
    reporter.tell(f"installing {' and '.join(names)} of {generation.directory_name} to {prefix.root}")
    with install_options(settings.work, reporter, lock_timeout_s=settings.lock_timeout) as work:
        options = replace(work, generation_id=generation.id, due=names)
        result = pipeline.install(prefix, catalog, find_uv(settings.program.uv), options, reporter)
    for label, error in result.failures.items():
        reporter.error(f"{label} could not be installed")
        sys.exit(error.exit_code)


def _become(found: Program) -> NoReturn:
    """Replace this process: signals, the terminal and the exit code are the command's from now on."""
    sys.stdout.flush()
    sys.stderr.flush()
    for number in (
        signal.SIGPIPE,
        signal.SIGXFSZ,
    ):  # Python ignores them; exec keeps that
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execve(found.command[0], found.command, found.variables)  # noqa: S606 (no shell is meant)
    except OSError as error:
        raise MachineError(f"{found.command[0]}: cannot be started: {error.strerror}") from error
