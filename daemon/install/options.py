"""The options of one install, and uv as they configure it."""

from dataclasses import dataclass, field
from pathlib import Path

from daemon.download_limit.proxy_variables import proxy_variables
from daemon.prefix.disk_budget import NO_BUDGET, DiskBudget
from daemon.prefix.writer_lock import WriterLock
from daemon.source.source_index import SourceIndex
from daemon.uv.program import Downloads, Uv
from gens.selection import EVERYTHING, Selection


@dataclass(frozen=True, slots=True)
class InstallOptions:
    """The options of an install.

    Attributes:
        min_gen_id: Oldest active generation, or None.
        max_gen_id: Newest active generation, or None.
        selection: The part of each generation that this node holds.
        due: Names of the environments and toolkits to install now, of the selected ones; none means all that
            are required.
        jobs: Number of environments, files or sources to work on at once.
        copy: Whether files are copied, where the file system has no hard links.
        downloads: Whether interpreters may be downloaded.
        index_url: Default index, or None for uv's own configuration.
        lock_timeout_s: Seconds to wait for another writer; None waits without end.
        proxy_url: The proxy that uv goes through for every host; None for what the machine's variables say.
        generation_id: The one generation of the range to install now; None for all. `latest` still names the
            newest sealed generation of the range.
        uv_downloads: The options of uv's downloads.
        sources: The sources that wheels come from, as an index; None for the index of each lock.
        budget: The most that the prefix may take.
    """

    min_gen_id: int | None = None
    max_gen_id: int | None = None
    selection: Selection = EVERYTHING
    due: tuple[str, ...] = ()
    jobs: int = 2
    copy: bool = False
    downloads: bool = True
    index_url: str | None = None
    lock_timeout_s: float | None = None
    proxy_url: str | None = None
    generation_id: int | None = None
    uv_downloads: Downloads = field(default_factory=Downloads)
    budget: DiskBudget = NO_BUDGET
    sources: SourceIndex | None = None


def make_uv(program: Path, writer: WriterLock, options: InstallOptions) -> Uv:
    """Return uv as the options configure it.

    Args:
        program: The uv binary.
        writer: The writer lock; uv inherits its descriptors.
        options: The options.
    """
    return Uv(
        program, writer.prefix, options.index_url, "copy" if options.copy else "hardlink", writer.descriptors,
        proxy_variables(options.proxy_url) if options.proxy_url else {}, options.uv_downloads,
    )  # fmt: skip
