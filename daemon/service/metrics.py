"""The metrics for Prometheus: counters that the loop advances, and gauges that are read on request."""

import os
from collections.abc import Callable, Iterator

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from daemon.prefix.prefix import Prefix
from daemon.service.failure import KINDS
from daemon.service.state import ServiceState
from daemon.upkeep.readiness import Readiness
from gens.version import Version, read_version

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
disable_created_metrics()  # type: ignore[no-untyped-call]  # series that nobody reads
_STATES = ("ready", "installing", "missing", "failed", "damaged", "left out")
_INSTALL_BUCKETS_S = (1, 5, 15, 60, 300, 900, 1800, 3600, 7200)


class Metrics:
    """The metrics of one daemon.

    Attributes:
        installs: Seconds of each install that installed something or failed.
        failures: Failures by kind.
        fetched_bytes: Bytes of the wheels that were downloaded.
        pruned_bytes: Bytes that pruning freed.
        repaired: Repairs after which no damage was left.
    """

    def __init__(self, prefix: Prefix, state: ServiceState, read: Callable[[], Readiness]) -> None:
        self._registry = CollectorRegistry()
        self.installs = Histogram(
            "monobase_install_duration_seconds",
            "Duration of the installs that had something to do.",
            buckets=_INSTALL_BUCKETS_S,
            registry=self._registry,
        )
        self.failures = Counter(
            "monobase_failures", "Failures by kind.", ["kind"], registry=self._registry
        )  # its name gets `_total`
        for kind in KINDS:
            self.failures.labels(kind)
        self.fetched_bytes = Counter(
            "monobase_fetched_bytes", "Bytes of the wheels that were downloaded.", registry=self._registry
        )
        self.pruned_bytes = Counter(
            "monobase_pruned_bytes", "Bytes that pruning freed.", registry=self._registry
        )
        self.repaired = Counter(
            "monobase_repairs", "Damage that was found and restored.", registry=self._registry
        )
        self._registry.register(_Gauges(prefix, state, read))
        self._registry.register(_Build(read_version()))
        ProcessCollector(registry=self._registry)

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)


class _Build(Collector):
    def __init__(self, version: Version) -> None:
        self._version = version

    def collect(self) -> Iterator[Metric]:
        """Return the version as a metric."""
        build = GaugeMetricFamily(
            "monobase_build_info",
            "The version of this daemon and the commit that it was built from; the value is 1.",
            labels=["version", "revision"],
        )
        build.add_metric([self._version.version, self._version.revision], 1)
        yield build


class _Gauges(Collector):
    def __init__(self, prefix: Prefix, state: ServiceState, read: Callable[[], Readiness]) -> None:
        self._prefix = prefix
        self._state = state
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Read the gauges."""
        readiness = self._read()
        yield GaugeMetricFamily("monobase_ready", "Whether the node is ready.", value=readiness.ready)
        generations = GaugeMetricFamily(
            "monobase_generation_ready",
            "Whether an active generation is sealed and whole.",
            labels=["generation"],
        )
        environments = GaugeMetricFamily(
            "monobase_environments",
            "Environments of an active generation by state.",
            labels=["generation", "state"],
        )
        toolkits = GaugeMetricFamily(
            "monobase_toolkits", "Toolkits of an active generation by state.", labels=["generation", "state"]
        )
        for generation in readiness.generations:
            generations.add_metric([generation.name], generation.ready)
            for family, kind in ((environments, "environment"), (toolkits, "toolkit")):
                for state in _STATES:
                    count = sum(
                        target.kind == kind and target.state == state for target in generation.targets
                    )
                    family.add_metric([generation.name, state], count)
        yield from (generations, environments, toolkits)
        yield GaugeMetricFamily(
            "monobase_generations_active", "Active generations.", value=len(readiness.generations)
        )
        yield GaugeMetricFamily(
            "monobase_generations_ready",
            "Active generations that are sealed and whole.",
            value=sum(generation.ready for generation in readiness.generations),
        )
        latest = GaugeMetricFamily(
            "monobase_latest_generation", "ID of the generation that `latest` names; absent when none."
        )
        if readiness.latest is not None and readiness.latest[1:].isdigit():
            latest.add_metric([], int(readiness.latest[1:]))
        yield latest
        yield GaugeMetricFamily(
            "monobase_last_check_timestamp_seconds",
            "When the loop last compared what is with what should be.",
            value=self._state.checked_s,
        )
        yield GaugeMetricFamily(
            "monobase_round_seconds",
            "How long the round of the loop that goes on lasts by now; 0 between two rounds.",
            value=self._state.round_s(),
        )
        yield from self._retries()
        yield from self._bytes()

    def _retries(self) -> Iterator[Metric]:
        attempts = GaugeMetricFamily(
            "monobase_failing_attempts",
            "How often in a row something failed that is tried again.",
            labels=["subject"],
        )
        delays = GaugeMetricFamily(
            "monobase_next_try_seconds", "Seconds until it is tried again.", labels=["subject"]
        )
        for retry in self._state.retries.pending():
            attempts.add_metric([retry.subject], retry.attempts)
            delays.add_metric([retry.subject], self._state.retries.next_s(retry.subject) or 0.0)
        yield from (attempts, delays)

    def _bytes(self) -> Iterator[Metric]:
        usage = self._state.usage
        if usage is not None:
            disk = GaugeMetricFamily(
                "monobase_disk_usage_bytes",
                "Bytes on the disk by kind, each inode once, for the first kind that links it.",
                labels=["kind"],
            )
            for kind, count in usage.disk_bytes.items():
                disk.add_metric([kind], count)
            yield disk
            yield GaugeMetricFamily(
                "monobase_apparent_bytes",
                "Bytes of environments and toolkits if nothing were shared.",
                value=usage.apparent_bytes,
            )
            yield GaugeMetricFamily(
                "monobase_saved_bytes", "Bytes that sharing saves of them.", value=usage.saved_bytes
            )
        try:
            room = os.statvfs(self._prefix.root)
        except OSError:
            return
        yield GaugeMetricFamily(
            "monobase_disk_free_bytes", "Free on the prefix.", value=room.f_bavail * room.f_frsize
        )
        yield GaugeMetricFamily(
            "monobase_disk_size_bytes", "Size of the prefix.", value=room.f_blocks * room.f_frsize
        )
        if room.f_files:
            yield GaugeMetricFamily("monobase_inodes_free", "Free on the prefix.", value=room.f_favail)
