"""Removes what a killed writer left on a prefix, in uv's cache as well."""

from daemon.prefix.prefix import Prefix
from daemon.prefix.staging import remove_leftovers
from daemon.report.progress import Reporter
from daemon.uv import cache


def clean_leftovers(prefix: Prefix, reporter: Reporter) -> None:
    """Remove what a killed writer left; the lock tells that none runs.

    Args:
        prefix: The prefix, of which this process is the one writer.
        reporter: Told when there is a staging folder.
    """
    remove_leftovers(prefix, reporter.info)
    cache.remove_leftovers(prefix.uv_cache)
