"""The options of an install, from the settings of a command."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from daemon.cli.settings import ActiveSettings, WorkSettings
from daemon.download_limit.limiting_proxy import limit_downloads
from daemon.install.options import InstallOptions
from daemon.prefix.disk_budget import NO_BUDGET, DiskBudget
from daemon.report.progress import Reporter
from daemon.uv.program import Downloads


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
    with limit_downloads(work.max_download_rate, os.environ, reporter.warning) as proxy_url:
        options = InstallOptions(
            jobs=work.jobs, copy=work.copy, downloads=work.python_downloads, index_url=work.index_url,
            lock_timeout_s=lock_timeout_s, proxy_url=proxy_url, budget=budget,
            uv_downloads=Downloads(concurrent_downloads, python_mirror, work.least_rate),
        )  # fmt: skip
        if active is not None:
            options = replace(
                options, min_gen_id=active.min_gen_id, max_gen_id=active.max_gen_id,
                selection=active.selected.selection,
            )  # fmt: skip
        yield options
