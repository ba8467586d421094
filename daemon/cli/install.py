"""The command `install`."""

import sys

import click

from daemon.cli.install_options import install_options
from daemon.cli.node_catalog import NodeCatalog
from daemon.cli.reporting import make_reporter
from daemon.cli.settings import InstallSettings
from daemon.cli.usage_hint import installed_environments, usage_hint
from daemon.install import pipeline
from daemon.prefix.prefix import prefix_at
from daemon.upkeep.prefetch_record import record_imports
from daemon.uv.program import find_uv


def install(settings: InstallSettings) -> None:
    """Install what is missing, and print how to use it."""
    program, active = settings.program, settings.active
    reporter = make_reporter(program.log_format)
    prefix = prefix_at(settings.prefix)
    with install_options(
        settings.work, reporter, active, budget=settings.budget.budget, lock_timeout_s=settings.lock_timeout
    ) as options:
        catalog = NodeCatalog(program.gens, reporter.info).load()
        result = pipeline.install(prefix, catalog, find_uv(program.uv), options, reporter)
    if settings.prefetch:
        generations = catalog.between(active.min_gen_id, active.max_gen_id)
        for label in record_imports(prefix, generations, reporter):
            reporter.warning(f"{label}: what its import reads was not recorded: too little memory is free")
    reporter.info(
        "done",
        installed=len(result.installed),
        sealed=result.sealed,
        partial=result.partial,
        fetched_bytes=result.fetched_bytes,
        seconds=result.seconds,
    )
    if program.log_format == "text":
        labels = result.installed
        if not result.installed and not result.failures:
            labels = installed_environments(prefix, catalog.between(active.min_gen_id, active.max_gen_id))
        click.echo(usage_hint(prefix, catalog.generations, labels), nl=False)
    if result.failures:
        label, error = next(iter(result.failures.items()))
        if len(result.failures) == 1:  # the error itself was shown when it happened
            reporter.error(f"1 could not be installed: {label}")
        else:
            reporter.error(f"{len(result.failures)} could not be installed, the first: {label}: {error}")
        sys.exit(error.exit_code)
