"""The command `status`."""

import click

from daemon.cli.settings import StatusSettings
from daemon.cli.status_table import print_status
from daemon.prefix.prefix import prefix_at
from daemon.report.shown_text import json_document
from daemon.upkeep.status import read_status


def status(settings: StatusSettings) -> None:
    """Print the generations on the prefix, and what the disk holds."""
    found = read_status(prefix_at(settings.prefix))
    if settings.as_json:
        click.echo(json_document(found, indent=2).decode())
    else:
        print_status(found)
