"""The settings of the daemon's commands, as options and environment variables set them."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import click

from daemon.cli.parameter_types import (
    DiskAmount,
    IndexUrl,
    PeersAddress,
    Rate,
    Seconds,
    SourceLocation,
)
from daemon.cli.settings_command import option
from daemon.prefix.disk_budget import Amount, DiskBudget
from daemon.prefix.prefix import DEFAULT_PREFIX
from daemon.source.location import Location
from daemon.source.sources import SourceOptions
from daemon.uv.least_rate import DEFAULT_WINDOW_S, LeastRate
from gens.selection import Selection

_PATH = click.Path(path_type=Path)
_DIRECTORY = click.Path(path_type=Path, exists=True, file_okay=False)
_GENERATION_ID = click.IntRange(min=0)
_INTERVAL = Seconds(0.05)
_SHARES = 16  # twice as many uv processes as run at once


# Not formatted by ruff: an option is two or three lines here, with its type in the first.
# fmt: off

# Options of several commands.
_PrefixPath = Annotated[Path, option(
    "Folder of the node that holds everything.", _PATH, default=DEFAULT_PREFIX)]
_Gens = Annotated[Path | None, option(
    "Folder of definitions and locks instead of the built-in ones.", _DIRECTORY)]
_LockTimeout = Annotated[float | None, option(
    "How long to wait for another writer of the prefix; without it, as long as it takes.", Seconds())]
_Copy = Annotated[bool, option(
    "Copy files, for a file system without hard links: each environment takes its full size.")]
_MaxGenId = Annotated[int | None, option("Newest active generation.", _GENERATION_ID)]
_PruneUnselected = Annotated[bool, option(
    "Remove of the active generations what --only or --pool does not name.")]
_Json = Annotated[bool, option("For machines.", flag="--json", has_variable=False)]


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionSettings:
    """The part of each generation that the node holds."""

    only: Annotated[tuple[str, ...], option(
        "Names of the environments and toolkits that the node holds; may be repeated.",
        multiple=True, metavar="PATTERN")]
    pool: Annotated[str | None, option(
        "The pool whose environments and toolkits the node holds (gens/pools.bzl).", metavar="NAME")]

    def __post_init__(self) -> None:
        if self.only and self.pool is not None:
            raise click.UsageError(f"--only and --pool {self.pool} contradict each other; leave one out")
        for pattern in self.only:  # they are words of the list that models read
            if not pattern.isprintable() or pattern.split() != [pattern]:
                raise click.UsageError(
                    f"--only {pattern!a} is not a pattern: names have no blanks; repeat the option for more"
                )

    @property
    def selection(self) -> Selection:
        """The selection; `Catalog.resolve` fills in the patterns of a pool."""
        return Selection(self.only, self.pool)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActiveSettings:
    """The active generations, and what of them is wanted."""

    min_gen_id: Annotated[int | None, option("Oldest active generation.", _GENERATION_ID)]
    max_gen_id: _MaxGenId
    selected: SelectionSettings

    def __post_init__(self) -> None:
        check_range(self.min_gen_id, self.max_gen_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetSettings:
    """The settings of the disk budget."""

    disk_budget: Annotated[Amount | None, option(
        "The most that the prefix may take: bytes, such as 300G, or a share of its disk, such as 60%.",
        DiskAmount())]
    keep_free: Annotated[Amount | None, option(
        "What must stay free on the disk of the prefix, such as 50G or 10%.", DiskAmount())]

    @property
    def budget(self) -> DiskBudget:
        """The budget; without either option, it allows all of the disk."""
        return DiskBudget(self.disk_budget, self.keep_free)


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandSettings:
    """The settings of an installation on demand."""

    on_demand: Annotated[bool, option("Install only what a model waits for, and what --eager names.")]
    eager: Annotated[tuple[str, ...], option(
        "With --on-demand: names of what is installed without being asked for; may be repeated.",
        multiple=True, metavar="PATTERN")]

    def __post_init__(self) -> None:
        if self.eager and not self.on_demand:
            raise click.UsageError("--eager needs --on-demand: without it, all that is selected is installed")

    @property
    def patterns(self) -> tuple[str, ...] | None:
        """Patterns of what is installed without being asked for; None for all."""
        return self.eager if self.on_demand else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSettings:
    """The settings of the sources of wheels and interpreters."""

    source: Annotated[tuple[Location, ...], option(
        "Where wheels and interpreters come from, in this order: oci://REGISTRY/REPOSITORY, "
        "https://HOST/PATH/, file:///FOLDER, or index for the index of each lock, which alone is asked when "
        "not given; may be repeated.", SourceLocation(), multiple=True, variable="sources", metavar="SOURCE")]
    registry_config: Annotated[Path | None, option(
        "File with the logins of registries, such as a mounted .dockerconfigjson, instead of Docker's own.",
        click.Path(path_type=Path, dir_okay=False))]
    p2p: Annotated[tuple[str, int] | None, option(
        "Peer-to-peer engine on the node (Dragonfly) that is asked before each source.", PeersAddress())]

    @property
    def options(self) -> SourceOptions:
        """The sources."""
        return SourceOptions(self.source, self.registry_config, self.p2p)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkSettings:
    """The settings of downloads and of writing."""

    jobs: Annotated[int, option(
        "How many things are done at once; the number of processors, at most 8, when not given.",
        click.IntRange(min=1), default=lambda: min(8, len(os.sched_getaffinity(0))))]
    copy: _Copy
    index_url: Annotated[str | None, option(
        "Default index, instead of the one of uv's own configuration.", IndexUrl())]
    sources: SourceSettings
    max_download_rate: Annotated[int | None, option(
        "Bytes a second that all downloads together may take, such as 50M; no limit when not given.", Rate())]
    min_download_rate: Annotated[int, option(
        "Bytes a second that an index must send over --min-download-window; 0 for as slow as it likes.",
        Rate(least=0), default="1k")]
    min_download_window: Annotated[float, option(
        "How long a download may be slower than --min-download-rate.",
        Seconds(0.1), default=DEFAULT_WINDOW_S)]
    python_downloads: Annotated[bool, option(
        "Whether uv may download interpreters.",
        flag="--python-downloads/--no-python-downloads", default=True)]

    @property
    def least_rate(self) -> LeastRate | None:
        """The rate below which a download is given up; None for no limit."""
        rate = self.min_download_rate
        if self.max_download_rate is not None:  # Monobase's own limit does not make an index slow
            rate = min(rate, self.max_download_rate // _SHARES)
        return LeastRate(rate, self.min_download_window) if rate else None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramSettings:
    """The settings of definitions, uv and log."""

    gens: _Gens
    uv: Annotated[Path | None, option("uv's binary instead of the built-in one.", _PATH)]
    log_format: Annotated[Literal["text", "json"], option(
        "For people, or an object a line.", click.Choice(["text", "json"]), default="text")]


@dataclass(frozen=True, slots=True, kw_only=True)
class InstallSettings:
    """The settings of `install`."""

    prefix: _PrefixPath
    active: ActiveSettings
    budget: BudgetSettings
    work: WorkSettings
    lock_timeout: _LockTimeout
    prefetch: Annotated[bool, option(
        "Also record what the import of each environment reads, for models with MONOBASE_PREFETCH=1.",
        has_variable=False)]
    program: ProgramSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifySettings:
    """The settings of `verify`."""

    prefix: _PrefixPath
    gen: Annotated[tuple[int, ...], option(
        "Only this generation; may be repeated.", _GENERATION_ID, multiple=True)]
    repair: Annotated[bool, option("Restore what is damaged, from the prefix, the cache or the index.")]
    as_json: Annotated[bool, option(
        "All differences, for machines, on standard output.", flag="--json", has_variable=False)]
    work: WorkSettings
    lock_timeout: _LockTimeout
    program: ProgramSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusSettings:
    """The settings of `status`."""

    prefix: _PrefixPath
    as_json: _Json


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadySettings:
    """The settings of `ready`."""

    prefix: _PrefixPath
    active: ActiveSettings
    demand: DemandSettings
    gens: _Gens
    as_json: _Json


@dataclass(frozen=True, slots=True, kw_only=True)
class PruneSettings:
    """The settings of `prune`."""

    prefix: _PrefixPath
    min_gen_id: Annotated[int, option("Oldest generation that stays.", _GENERATION_ID, required=True)]
    max_gen_id: _MaxGenId
    selected: SelectionSettings
    prune_unselected: _PruneUnselected
    dry_run: Annotated[bool, option(
        "Only say what would go and what that frees; nothing is written.", has_variable=False)]
    lock_timeout: _LockTimeout
    program: ProgramSettings

    def __post_init__(self) -> None:
        check_range(self.min_gen_id, self.max_gen_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvictSettings:
    """The settings of `evict`."""

    prefix: _PrefixPath
    active: ActiveSettings
    budget: BudgetSettings
    eager: Annotated[tuple[str, ...], option(
        "Names of environments that stay; may be repeated.", multiple=True, metavar="PATTERN")]
    room_for: Annotated[tuple[str, ...], option(
        "Names of environments for which there must be room, too; may be repeated.",
        multiple=True, metavar="PATTERN", has_variable=False)]
    copy: _Copy
    dry_run: Annotated[bool, option(
        "Only say what would go and what that frees; nothing is written.", has_variable=False)]
    lock_timeout: _LockTimeout
    program: ProgramSettings

    def __post_init__(self) -> None:
        if not self.budget.budget.is_set:
            raise click.UsageError("evict needs --disk-budget or --keep-free: how much may the prefix take?")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """The settings of `run`."""

    prefix: _PrefixPath
    active: ActiveSettings
    budget: BudgetSettings
    demand: DemandSettings
    prune_old_gen: Annotated[bool, option(
        "Remove generations older than --min-gen-id, and what only they use.")]
    prune_unselected: _PruneUnselected
    clean_uv_cache: Annotated[bool, option(
        "Empty uv's cache at the start; installed generations stay as they are.")]
    listen: Annotated[str, option(
        "Address of /, /healthz, /readyz, /metrics; `off` for none.",
        default="0.0.0.0:8080", metavar="HOST:PORT")]
    repair: Annotated[bool, option(
        "Whether damage that a check finds is restored.", flag="--repair/--no-repair", default=True)]
    features_dir: Annotated[Path | None, option(
        "node-feature-discovery's features.d, to tell there which generations are ready.", _DIRECTORY)]
    check_interval: Annotated[float, option("Between two looks at the marks.", _INTERVAL, default=60.0)]
    scan_interval: Annotated[float, option(
        "Between two looks at each file's size, mode and time of change.", _INTERVAL, default=3600.0)]
    verify_interval: Annotated[float, option(
        "Between two readings of every file; 0 for never.", Seconds(), default=604_800.0)]
    retry_delay: Annotated[float, option("Before the first retry; it doubles.", _INTERVAL, default=5.0)]
    max_retry_delay: Annotated[float, option("The longest of the delays.", _INTERVAL, default=600.0)]
    first_fetch_jitter: Annotated[float, option(
        "Over how long nodes spread their first fetch of what is new, each at a moment of its own (by "
        "NODE_NAME or the host's name); what a model waits for comes at once.",
        Seconds(), default=0.0)]
    concurrent_downloads: Annotated[int | None, option(
        "How many wheels a uv downloads at once.", click.IntRange(min=1))]
    python_mirror: Annotated[str | None, option("Where uv downloads interpreters from.", metavar="URL")]
    prefetch: Annotated[Literal["off", "record"], option(
        "Whether to record what the import of each environment reads, for models with MONOBASE_PREFETCH=1.",
        click.Choice(["off", "record"]), default="off")]
    compile_cache: Annotated[tuple[Path, ...], option(
        "Folder of the node, outside of the prefix, in which models share compiled code; may be repeated.",
        _PATH, multiple=True, metavar="FOLDER")]
    compile_cache_size: Annotated[Amount, option(
        "The most that each compile cache may take: bytes, or a share of its disk.",
        DiskAmount(), default="20G")]
    work: WorkSettings
    program: ProgramSettings

    def __post_init__(self) -> None:
        if self.prune_old_gen and self.active.min_gen_id is None:
            raise click.UsageError("--prune-old-gen needs --min-gen-id: without it, no generation is too old")
        if self.max_retry_delay < self.retry_delay:
            raise click.UsageError(
                f"--max-retry-delay {self.max_retry_delay:g} is below --retry-delay {self.retry_delay:g}"
            )
        for cache in self.compile_cache:
            if not cache.is_absolute() or cache.resolve().is_relative_to(self.prefix.resolve()):
                raise click.UsageError(
                    f"--compile-cache {cache} is not an absolute path outside of the prefix {self.prefix}: "
                    "models write to it, and to nothing in the prefix"
                )
        if self.python_mirror is not None and not self.work.python_downloads:
            raise click.UsageError("--python-mirror and --no-python-downloads contradict each other")


def check_range(min_gen_id: int | None, max_gen_id: int | None) -> None:
    """Refuse a range that contains no generation.

    Raises:
        click.UsageError: The range is empty.
    """
    if min_gen_id is not None and max_gen_id is not None and min_gen_id > max_gen_id:
        raise click.UsageError(
            f"--min-gen-id {min_gen_id} is above --max-gen-id {max_gen_id}: no generation is active"
        )
