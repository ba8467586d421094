"""The options of an install, from the settings of a command."""

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from daemon.cli.settings import ActiveSettings, WorkSettings
from daemon.download_limit.limiting_proxy import limit_downloads
from daemon.download_limit.rate_limit import RateLimit
from daemon.install.options import InstallOptions
from daemon.prefix.disk_budget import NO_BUDGET, DiskBudget
from daemon.report.progress import Reporter
from daemon.source.source_index import INTERPRETERS, SourceIndex
from daemon.source.sources import serve_sources
from daemon.uv.program import Downloads, PythonWay


@contextmanager
def install_options(
    work: WorkSettings,
    reporter: Reporter,
    active: ActiveSettings | None = None,
    *,
    budget: DiskBudget = NO_BUDGET,
    lock_timeout_s: float | None = None,
    concurrent_downloads: int | None = None,
    python_mirror: str | None = None,
) -> Iterator[InstallOptions]:
    """Provide the options of an install; the proxy that limits downloads runs meanwhile.

    Args:
        work: How files are downloaded and written.
        reporter: Receives the warnings of the proxy.
        active: The active generations; None for all.
        budget: How much of the disk the prefix may take.
        lock_timeout_s: How long to wait for another writer; None for no limit.
        concurrent_downloads: How many wheels one uv downloads at once; None for uv's own number.
        python_mirror: Where uv downloads interpreters from; None for uv's own place.

    Yields:
        The options.
    """
    rate = work.max_download_rate
    if work.sources.p2p is not None and not work.sources.options.have_peers:
        reporter.warning(
            "--p2p: is not used, as no --source is a registry or a web server; name one, or leave --p2p out"
        )
    with (
        limit_downloads(rate, os.environ, reporter.warning) as proxy_url,
        serve_sources(
            work.sources.options, os.environ, reporter.warning, work.least_rate,
            None if rate is None else RateLimit(rate),
        ) as sources,
    ):  # fmt: skip
        options = InstallOptions(
            jobs=work.jobs, copy=work.copy, downloads=work.python_downloads, index_url=work.index_url,
            lock_timeout_s=lock_timeout_s, proxy_url=proxy_url, budget=budget,
            uv_downloads=Downloads(
                concurrent_downloads, python_mirror, _python_ways(sources, python_mirror), work.least_rate
            ),
            sources=sources,
        )  # fmt: skip
        if active is not None:
            options = replace(
                options, min_gen_id=active.min_gen_id, max_gen_id=active.max_gen_id,
                selection=active.selected.selection,
            )  # fmt: skip
        yield options


def _python_ways(sources: SourceIndex | None, python_mirror: str | None) -> tuple[PythonWay | None, ...]:
    """Return the ways to an interpreter: those to a wheel, unless a mirror for interpreters is named."""
    if sources is None or python_mirror is not None:
        return (None,)
    own = PythonWay(
        sources.interpreter_variables(os.environ),
        functools.partial(sources.failure_of, INTERPRETERS),
        sources.finds_wrong,
    )
    ways = [None if way is None else own for way in sources.ways]
    return tuple(way for number, way in enumerate(ways) if way not in ways[:number])
