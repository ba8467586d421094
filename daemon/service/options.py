"""The options of the service."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from daemon.install.options import InstallOptions
from daemon.prefix.disk_budget import NO_BUDGET, Amount, DiskBudget, parse_amount

DEFAULT_COMPILE_CACHE_SIZE = parse_amount("20G")


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """The options of the service.

    Attributes:
        install: The options of each install, with the active range.
        prune_old_gen: Whether generations older than `--min-gen-id` are removed.
        clean_uv_cache: Whether uv's cache is emptied at the start.
        repair: Whether damage is repaired.
        features_directory: node-feature-discovery's `features.d`, or None.
        check_interval_s: Time between two comparisons of marks and manifests.
        scan_interval_s: Time between two scans of every file's size, mode and time of change.
        verify_interval_s: Time between two readings of every file; 0 for never.
        retry_delay_s: Delay before the first retry; it doubles with each failure.
        max_retry_delay_s: The longest delay.
        budget: The most that the prefix may take.
        prefetch: `record` to record what the import of each environment reads, else `off`.
        compile_caches: Folders in which models share compiled code.
        compile_cache_size: The most that each of them may take.
        prune_unselected: Whether that is removed of the active generations which is not selected.
        first_fetch_jitter_s: Time over which nodes spread their first fetch of what is new; 0 for at once.
        node_name: Name of the node, from which its moment in that time follows.
    """

    install: InstallOptions = field(default_factory=InstallOptions)
    prune_old_gen: bool = False
    clean_uv_cache: bool = False
    repair: bool = True
    features_directory: Path | None = None
    check_interval_s: float = 60.0
    scan_interval_s: float = 3600.0
    verify_interval_s: float = 604_800.0
    retry_delay_s: float = 5.0
    max_retry_delay_s: float = 600.0
    budget: DiskBudget = NO_BUDGET
    prune_unselected: bool = False
    prefetch: Literal["off", "record"] = "off"
    compile_caches: tuple[Path, ...] = ()
    compile_cache_size: Amount = DEFAULT_COMPILE_CACHE_SIZE
    first_fetch_jitter_s: float = 0.0
    node_name: str = ""
