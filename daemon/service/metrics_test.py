"""Metrics, as Prometheus reads them."""

import time
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from daemon.install.options import InstallOptions
from daemon.prefix.usage import Usage
from daemon.service.failure import KINDS
from daemon.service.state import LeaseState
from daemon.source.failure import SourceFailure
from daemon.source.ledger import Ledger
from daemon.source.source_index import SourceIndex
from gens.selection import Selection
from gens.version import read_version
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.fake_service.fake_service import FakeService


@pytest.fixture
def fake(tmp_path: Path) -> FakePrefix:
    fake = FakePrefix(tmp_path)
    fake.install(0)
    fake.define(1)
    return fake


def _samples(service: FakeService) -> dict[tuple[str, ...], float]:
    """Read the metrics: values by name and values of labels."""
    text = service.context.metrics.exposition().decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_each_generation_has_its_state(fake: FakePrefix) -> None:
    fake.prefix.latest.unlink()
    samples = _samples(FakeService(fake))
    assert samples["monobase_ready",] == 0
    assert samples["monobase_generations_active",] == 2
    assert samples["monobase_environments", "g00001", "missing"] == 1
    assert samples["monobase_environments", "g00001", "ready"] == 0
    assert samples["monobase_toolkits", "g00001", "missing"] == 1
    assert samples["monobase_environments", "g00000", "ready"] == 1
    assert ("monobase_latest_generation",) not in samples
    fake.point_latest(0)
    assert _samples(FakeService(fake))["monobase_latest_generation",] == 0


def test_each_source_has_its_bytes_and_its_failures(fake: FakePrefix) -> None:
    assert not any("source" in name for name, *_ in _samples(FakeService(fake)))
    ledger = Ledger(("oci://a/b", "index by peers"), lambda _: None)
    ledger.count("oci://a/b", 7)
    ledger.fail("oci://a/b", SourceFailure("denied", "answers 401"), "0" * 64, "x.whl")
    with SourceIndex([], ledger) as index:
        samples = _samples(FakeService(fake, InstallOptions(sources=index)))
    assert samples["monobase_source_received_bytes_total", "oci://a/b"] == 7
    assert samples["monobase_source_received_bytes_total", "index by peers"] == 0
    assert samples["monobase_source_failures_total", "denied", "oci://a/b"] == 1
    assert samples["monobase_source_failures_total", "wrong", "oci://a/b"] == 0


def test_the_selection_of_the_node_is_named(fake: FakePrefix) -> None:
    assert _samples(FakeService(fake))["monobase_selection_info", ""] == 1
    options = InstallOptions(selection=Selection((fake.toolkit,)))
    assert _samples(FakeService(fake, options))["monobase_selection_info", f"--only {fake.toolkit}"] == 1


def test_what_is_known_of_the_disk_is_told(fake: FakePrefix) -> None:
    service = FakeService(fake)
    samples = _samples(service)
    assert samples["monobase_disk_size_bytes",] >= samples["monobase_disk_free_bytes",] > 0
    assert ("monobase_saved_bytes",) not in samples
    service.context.state.usage = Usage({"environments": 1000, "bytecode": 20}, 4000, 3000)
    samples = _samples(service)
    assert samples["monobase_disk_usage_bytes", "bytecode"] == 20
    assert (samples["monobase_apparent_bytes",], samples["monobase_saved_bytes",]) == (4000, 3000)


def test_each_environment_has_its_last_use_and_whether_it_is_leased(fake: FakePrefix) -> None:
    service = FakeService(fake)
    uses = {"g00000/python3.11": 5, "g00000/other": 7, "g00001/third": 9}
    service.context.state.leases = LeaseState(uses, frozenset({"g00000/other"}), frozenset({"g00001"}))
    samples = _samples(service)
    # The exposition sorts labels: the environment comes before its generation.
    assert samples["monobase_environment_last_use_timestamp_seconds", "python3.11", "g00000"] == 5
    leased = [samples["monobase_environment_leased", *label.split("/")[::-1]] for label in uses]
    assert leased == [0, 1, 1]


def test_a_prefix_that_is_gone_has_no_size(fake: FakePrefix) -> None:
    service = FakeService(fake)
    fake.prefix.root.rename(fake.directory / "gone")
    assert ("monobase_disk_size_bytes",) not in _samples(service)


def test_failures_have_their_kind_from_the_start_and_retries_their_delay(fake: FakePrefix) -> None:
    service = FakeService(fake)
    samples = _samples(service)
    assert {samples["monobase_failures_total", kind] for kind in KINDS} == {0.0}
    service.context.fail("prune", OSError(28, "No space left"))
    service.context.fail("prune", OSError(28, "No space left"))
    samples = _samples(service)
    assert samples["monobase_failures_total", "disk"] == 2
    assert samples["monobase_failing_attempts", "prune"] == 2
    assert 0 < samples["monobase_next_try_seconds", "prune"] <= 3600 * 1.5


def test_counters_and_the_round_are_told(fake: FakePrefix) -> None:
    service = FakeService(fake)
    metrics = service.context.metrics
    metrics.installs.observe(7)
    metrics.repaired.inc()
    service.context.state.round_began_s = time.monotonic() - 100
    service.context.state.checked_s = 1_700_000_000.0
    samples = _samples(service)
    assert samples["monobase_install_duration_seconds_bucket", "5.0"] == 0
    assert samples["monobase_install_duration_seconds_bucket", "15.0"] == 1
    assert samples["monobase_repairs_total",] == 1
    assert samples["monobase_round_seconds",] >= 100
    assert samples["monobase_last_check_timestamp_seconds",] == 1_700_000_000
    assert samples["process_open_fds",] > 0


def test_the_version_of_this_build_is_told(fake: FakePrefix) -> None:
    version = read_version()
    assert _samples(FakeService(fake))["monobase_build_info", version.version, version.revision] == 1
