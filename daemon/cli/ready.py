"""The command `ready`."""

import sys
from dataclasses import replace

import click

from daemon.cli.node_catalog import NodeCatalog
from daemon.cli.settings import ReadySettings
from daemon.prefix.machine import check_machine
from daemon.prefix.prefix import prefix_at
from daemon.report.shown_text import json_document
from daemon.upkeep.known_file import read_known
from daemon.upkeep.readiness import read_readiness, readiness_text


def ready(settings: ReadySettings) -> None:
    """Print whether the active generations are ready, and exit with 1 if they are not."""
    active = settings.active
    prefix = prefix_at(settings.prefix)
    check_machine(prefix)
    catalog = NodeCatalog(settings.gens).load()
    known = read_known(prefix, lambda text: click.echo(f"warning: {text}", err=True))
    selection = catalog.resolve(replace(active.selected.selection, eager=settings.demand.patterns))
    selection.check(catalog.between(active.min_gen_id, active.max_gen_id))
    readiness = read_readiness(prefix, catalog, active.min_gen_id, active.max_gen_id, known, selection)
    if settings.as_json:
        click.echo(json_document(readiness).decode())
    else:
        click.echo(readiness_text(readiness), nl=False)
    if not readiness.ready:
        sys.exit(1)
