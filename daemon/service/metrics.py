"""The metrics for Prometheus: counters that the loop advances, and gauges that are read on request."""

import collections
import os
from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from daemon.prefix.prefix import Prefix
from daemon.service.failure import KINDS
from daemon.service.state import ServiceState
from daemon.source.ledger import Ledger
from daemon.upkeep.readiness import Readiness
from gens.version import read_version

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
disable_created_metrics()  # type: ignore[no-untyped-call]  # series that nobody reads
_STATES = ("ready", "installing", "missing", "failed", "damaged", "left out", "on demand")
_INSTALL_BUCKETS_S = (1, 5, 15, 60, 300, 900, 1800, 3600, 7200)


class Metrics:
    """The metrics of one daemon.

    Attributes:
        installs: Seconds of each install that installed something or failed.
        failures: Failures by kind.
        fetched_bytes: Bytes of the wheels that were downloaded.
        pruned_bytes: Bytes that pruning freed.
        evicted: Environments that were evicted.
        evicted_bytes: Bytes that evictions freed.
        repaired: Repairs after which no damage was left.
    """

    def __init__(
        self,
        prefix: Prefix,
        state: ServiceState,
        read: Callable[[], Readiness],
        sources: Ledger | None = None,
    ) -> None:
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
        self.evicted = Counter(
            "monobase_evictions", "Environments that were evicted.", registry=self._registry
        )
        self.evicted_bytes = Counter(
            "monobase_evicted_bytes", "Bytes that evictions freed.", registry=self._registry
        )
        self.repaired = Counter(
            "monobase_repairs", "Damage that was found and restored.", registry=self._registry
        )
        self._registry.register(_Gauges(prefix, state, read))
        if sources is not None:
            self._registry.register(_Sources(sources))
        ProcessCollector(registry=self._registry)

    def exposition(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self._registry)


class _Sources(Collector):
    """The counts of the sources, which begin with the daemon."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def collect(self) -> Iterator[Metric]:
        """Read the counts."""
        received = CounterMetricFamily(
            "monobase_source_received_bytes", "Bytes that each source has sent.", labels=["source"]
        )
        failures = CounterMetricFamily(
            "monobase_source_failures", "Failures of each source by reason.", labels=["source", "reason"]
        )
        for count in self._ledger.counts():
            received.add_metric([count.name], count.received_bytes)
            for reason, number in count.failures.items():
                failures.add_metric([count.name, reason], number)
        yield received
        yield failures


class _Gauges(Collector):
    def __init__(self, prefix: Prefix, state: ServiceState, read: Callable[[], Readiness]) -> None:
        self._prefix = prefix
        self._state = state
        self._read = read
        self._version = read_version()

    def collect(self) -> Iterator[Metric]:
        """Read the gauges."""
        yield _by(
            ["version", "revision"],
            "build_info",
            "The version of this daemon and the commit that it was built from; the value is 1.",
            {(self._version.version, self._version.revision): 1},
        )
        yield from self._readiness()
        yield _gauge(
            "last_check_timestamp_seconds",
            "When the loop last compared what is with what should be.",
            self._state.checked_s,
        )
        yield _gauge(
            "round_seconds",
            "How long the round of the loop that goes on lasts by now; 0 between two rounds.",
            self._state.round_s(),
        )
        yield _gauge("requested", "Environments and toolkits that models wait for.", self._state.requested)
        yield from self._retries()
        yield from self._leases()
        yield from self._bytes()

    def _readiness(self) -> Iterator[Metric]:
        readiness = self._read()
        generations = readiness.generations
        yield _gauge("ready", "Whether the node is ready.", readiness.ready)
        yield _by(
            ["generation"],
            "generation_ready",
            "Whether what is selected of an active generation is sealed and undamaged.",
            {(generation.name,): generation.ready for generation in generations},
        )
        yield _by(
            ["selection"],
            "selection_info",
            "The option that names the part of each generation that the node holds; empty for all. Always 1.",
            {(readiness.selection,): 1},
        )
        counts: dict[str, collections.Counter[tuple[str, str]]] = {
            generation.name: collections.Counter((target.kind, target.state) for target in generation.targets)
            for generation in generations
        }
        for kind in ("environment", "toolkit"):
            yield _by(
                ["generation", "state"],
                f"{kind}s",
                f"{kind.capitalize()}s of an active generation by state.",
                {(name, state): count[kind, state] for name, count in counts.items() for state in _STATES},
            )
        yield _gauge("generations_active", "Active generations.", len(generations))
        yield _gauge(
            "generations_ready",
            "Active generations of which all that is selected is sealed and undamaged.",
            sum(generation.ready for generation in generations),
        )
        latest = readiness.latest or ""
        text = "ID of the generation that `latest` names; absent when none."
        yield _by([], "latest_generation", text, {(): int(latest[1:])} if latest[1:].isdigit() else {})

    def _retries(self) -> Iterator[Metric]:
        retries = self._state.retries
        pending = retries.pending()
        yield _by(
            ["subject"],
            "failing_attempts",
            "How often in a row something failed that is tried again.",
            {(retry.subject,): retry.attempts for retry in pending},
        )
        yield _by(
            ["subject"],
            "next_try_seconds",
            "Seconds until it is tried again.",
            {(retry.subject,): retries.next_s(retry.subject) or 0.0 for retry in pending},
        )

    def _leases(self) -> Iterator[Metric]:
        leases = self._state.leases
        labels = [(label.partition("/")[0], label.partition("/")[2]) for label in leases.last_uses]
        names = ["generation", "environment"]
        yield _by(
            names,
            "environment_leased",
            "Whether a model leases an installed environment, alone or with its generation.",
            {
                (generation, name): generation in leases.generations
                or f"{generation}/{name}" in leases.environments
                for generation, name in labels
            },
        )
        yield _by(
            names,
            "environment_last_use_timestamp_seconds",
            "When a model last leased an installed environment alone, or its installation if that was later.",
            {(generation, name): leases.last_uses[f"{generation}/{name}"] for generation, name in labels},
        )

    def _bytes(self) -> Iterator[Metric]:
        usage = self._state.usage
        if usage is not None:
            yield _by(
                ["kind"],
                "disk_usage_bytes",
                "Bytes on the disk by kind, each inode once, for the first kind that links it.",
                {(kind,): count for kind, count in usage.disk_bytes.items()},
            )
            text = "Bytes of environments and toolkits if nothing were shared."
            yield _gauge("apparent_bytes", text, usage.apparent_bytes)
            yield _gauge("saved_bytes", "Bytes that sharing saves of them.", usage.saved_bytes)
        budget = self._state.budget
        if budget is not None:
            yield _gauge("disk_budget_bytes", "The most that the prefix may take.", budget.limit_bytes)
            text = "What the prefix took when it was last compared with the budget."
            yield _gauge("disk_budget_used_bytes", text, budget.used_bytes)
        try:
            room = os.statvfs(self._prefix.root)
        except OSError:
            return
        yield _gauge("disk_free_bytes", "Free on the prefix.", room.f_bavail * room.f_frsize)
        yield _gauge("disk_size_bytes", "Size of the prefix.", room.f_blocks * room.f_frsize)
        if room.f_files:
            yield _gauge("inodes_free", "Free on the prefix.", room.f_favail)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(f"monobase_{name}", text, value=value)


def _by(labels: Sequence[str], name: str, text: str, values: Mapping[tuple[str, ...], float]) -> Metric:
    """Return a gauge with a value for each tuple of values of its labels."""
    family = GaugeMetricFamily(f"monobase_{name}", text, labels=labels)
    for label_values, value in values.items():
        family.add_metric(label_values, value)
    return family
