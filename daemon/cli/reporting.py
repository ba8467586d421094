"""The reporter of a command: its errors are shown in the format of its progress."""

from typing import Literal

import click

from daemon.report.progress import Reporter


def make_reporter(log_format: Literal["text", "json"]) -> Reporter:
    """Return a reporter on standard error, which the command line shows the command's error with, too.

    Args:
        log_format: For people, or one object a line.
    """
    reporter = Reporter(log_format=log_format)
    click.get_current_context().find_root().obj = reporter
    return reporter
