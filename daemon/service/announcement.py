"""Tells the log, node-feature-discovery and probes whether the node is ready."""

from pathlib import Path

from daemon.service.context import ServiceContext
from daemon.service.feature_file import write_features
from daemon.upkeep.readiness import Readiness
from gens.errors import MonobaseError


class Announcement:
    """Writes what changed since it was written last.

    Args:
        context: The service.
    """

    def __init__(self, context: ServiceContext) -> None:
        self._context = context
        self._was_ready: bool | None = None

    def write(self) -> None:
        """Write what everybody should know now."""
        context = self._context
        readiness = context.readiness()
        if readiness.ready != self._was_ready:
            self._log(readiness)
            self._was_ready = readiness.ready
        directory = context.options.features_directory
        if directory is not None:
            context.attempt("features", lambda: self._write_features(directory, readiness))
        context.attempt("probes", context.write_known)

    def write_last(self) -> None:
        """Write what is known at the end, too: the last round may have ended before it did."""
        try:
            self._context.write_known()
        except (MonobaseError, OSError) as error:
            self._context.report("probes", error)

    def _log(self, readiness: Readiness) -> None:
        reporter, usage = self._context.reporter, self._context.state.usage
        if readiness.ready:
            reporter.info(
                "ready",
                generations=[generation.name for generation in readiness.generations],
                saved_bytes=usage.saved_bytes if usage is not None else 0,
            )
        else:
            reporter.warning(f"not ready: {'; '.join(readiness.reasons)}")

    def _write_features(self, directory: Path, readiness: Readiness) -> None:
        if write_features(directory, readiness):
            self._context.reporter.info(f"wrote the features of this node to {directory}")
