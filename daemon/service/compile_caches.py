"""Keeps the compile caches of the node within their size."""

import os
import time
from functools import partial
from pathlib import Path

from daemon.service.context import ServiceContext
from daemon.upkeep.compile_cache import clean_compile_cache, prepare_compile_cache

_EVERY_S = 600.0


class CompileCaches:
    """Makes the folders that the options name, and cleans them every ten minutes.

    Args:
        context: The service.
    """

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._cleaned_s: float | None = None

    def keep(self) -> None:
        """Make the folders, and clean them if it is time; one that fails leaves the others alone."""
        context = self._context
        now_s = time.monotonic()
        if self._cleaned_s is not None and now_s - self._cleaned_s < _EVERY_S:
            return
        self._cleaned_s = now_s
        for directory in context.options.compile_caches:
            context.attempt(f"compile cache {directory}", partial(self._keep, directory))

    def _keep(self, directory: Path) -> None:
        context = self._context
        prepare_compile_cache(directory)
        context.state.activity = "cleaning a compile cache"
        size = os.statvfs(directory)
        most_bytes = context.options.compile_cache_size.of(size.f_blocks * size.f_frsize)
        done = clean_compile_cache(directory, most_bytes)
        if done.removed:
            context.reporter.info(
                f"{directory}: removed compiled code that was used longest ago",
                removed=list(done.removed), bytes=done.freed_bytes,
            )  # fmt: skip
        if done.size_bytes > most_bytes:
            context.reporter.warning(
                f"{directory}: takes {done.size_bytes:,} bytes, and may take {most_bytes:,}: all of it was "
                "used within the last hour; raise --compile-cache-size"
            )
