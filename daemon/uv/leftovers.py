"""Removes the leftovers of a killed writer from a prefix and from uv's cache."""

from daemon.prefix.prefix import Prefix
from daemon.prefix.staging import remove_leftovers
from daemon.report.progress import Reporter
from daemon.uv import cache


def clean_leftovers(prefix: Prefix, reporter: Reporter) -> None:
    """Remove the leftovers of a killed writer: the writer lock shows that none runs.

    Args:
        prefix: The prefix, of which this process is the one writer.
        reporter: Reports that there is a staging folder.
    """
    remove_leftovers(prefix, reporter.info)
    cache.remove_leftovers(prefix.uv_cache)
