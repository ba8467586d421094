"""Alerts and dashboard: they name metrics and labels of the daemon, and an alert fires when it should."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from daemon.prefix.disk_budget import BudgetUse
from daemon.prefix.usage import Usage
from daemon.service.state import LeaseState
from tests.fake_prefix.fake_prefix import FakePrefix
from tests.fake_service.fake_service import FakeService

COMPONENTS = Path(__file__).parent / "components"
# What Prometheus adds to each sample of a target: by itself, and by the PodMonitor.
TARGET_LABELS = {"job", "instance", "namespace", "container", "endpoint", "pod", "node"}
_METRIC = re.compile(r"\b(?P<name>(?:monobase|process)_[a-z_]+)(?:\{(?P<matchers>[^}]*)\})?")
_MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring)\s*\(([^)]*)\)")
_SHOWN = re.compile(r"\{\{\s*(?:\$labels\.)?(\w+)\s*\}\}")


@pytest.fixture
def labels(tmp_path: Path) -> dict[str, set[str]]:
    """Return the labels of each metric of a daemon that has something to report of every kind."""
    fake = FakePrefix(tmp_path)
    fake.install(0)
    service = FakeService(fake)
    state = service.context.state
    state.usage = Usage({"environments": 1000}, 4000, 3000)
    state.leases = LeaseState({"g00000/python3.11": 5}, frozenset(), frozenset())
    state.budget = BudgetUse(1000, 2000, 3000)
    service.context.fail("prune", OSError(28, "No space left"))
    service.context.metrics.installs.observe(7)
    text = service.context.metrics.exposition().decode()
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def _rules() -> dict[str, Any]:
    path = COMPONENTS / "prometheus-rule" / "prometheusrule.yaml"
    found: dict[str, Any] = yaml.safe_load(path.read_text())
    return found


def _alerts() -> dict[str, dict[str, Any]]:
    (group,) = _rules()["spec"]["groups"]
    return {alert["alert"]: alert for alert in group["rules"]}


def _dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((COMPONENTS / "grafana-dashboard" / "monobase.json").read_text())
    return found


def _queries() -> Iterator[tuple[str, str, str]]:
    """Return title of the panel, expression and legend of each query of the dashboard."""
    for panel in _dashboard()["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"], target["legendFormat"]


def _faults(expression: str, shown: str, labels: Mapping[str, set[str]]) -> list[str]:
    """Return what an expression names and the daemon lacks; `shown` is a text with labels of the result."""
    found = [(match["name"], match["matchers"] or "") for match in _METRIC.finditer(expression)]
    faults = [f"no metric {name}" for name, _ in found if name not in labels]
    for name, matchers in found:
        unknown = set(_MATCHER.findall(matchers)) - labels.get(name, set()) - TARGET_LABELS
        faults += [f"{name} has no label {label}" for label in sorted(unknown)]
    known = TARGET_LABELS.union(*(labels.get(name, set()) for name, _ in found)) | {"le"}
    groupings = _GROUPING.findall(expression)
    grouped = {label.strip() for grouping in groupings for label in grouping.split(",")}
    faults += [f"no metric with label {label}" for label in sorted(grouped - known)]
    unknown = set(_SHOWN.findall(shown)) - (grouped if groupings else known)
    faults += [f"{label} is not a label of the result" for label in sorted(unknown)]
    return faults


@pytest.mark.parametrize(
    ("expression", "shown", "fault"),
    [
        ("monobase_readi == 0", "", "no metric monobase_readi"),
        ('monobase_environments{stat="damaged"}', "", "monobase_environments has no label stat"),
        ("sum by (kinds) (monobase_failures_total)", "", "no metric with label kinds"),
        ("sum by (kind) (monobase_failures_total)", "{{node}}", "node is not a label of the result"),
        ("monobase_ready", "{{ $labels.kind }}", "kind is not a label of the result"),
    ],
)
def test_an_expression_that_names_what_the_daemon_lacks_is_found(
    labels: dict[str, set[str]], expression: str, shown: str, fault: str
) -> None:
    assert _faults(expression, shown, labels) == [fault]


def test_each_alert_names_metrics_and_labels_that_exist(labels: dict[str, set[str]]) -> None:
    faults = {
        name: _faults(alert["expr"], " ".join(alert["annotations"].values()), labels)
        for name, alert in _alerts().items()
    }
    assert {name: found for name, found in faults.items() if found} == {}


def test_each_panel_names_metrics_and_labels_that_exist(labels: dict[str, set[str]]) -> None:
    queries = list(_queries())
    assert len(queries) > 20
    faults = {title: _faults(query, legend, labels) for title, query, legend in queries}
    assert {title: found for title, found in faults.items() if found} == {}
    for variable in _dashboard()["templating"]["list"]:
        if variable["type"] == "query":
            name, label = variable["definition"].removeprefix("label_values(").rstrip(")").split(", ")
            assert label in labels[name] | TARGET_LABELS


def test_the_panels_of_the_dashboard_do_not_overlap() -> None:
    panels = _dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    cells = [
        (x, y)
        for panel in panels
        for place in [panel["gridPos"]]
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert max(x for x, _ in cells) < 24
    assert len(set(cells)) == len(cells)


def _promtool(*arguments: str, directory: Path) -> str:
    """Run promtool in a folder, and return its output; skip the test where it is not installed."""
    program = shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed here; the toolbox of ./bazelw has it")
    done = subprocess.run(
        [program, *arguments],
        cwd=directory, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_prometheus_accepts_the_alerts(tmp_path: Path) -> None:
    _write_rules(tmp_path)
    assert f"SUCCESS: {len(_alerts())} rules found" in _promtool(
        "check", "rules", "--lint=all", "--lint-fatal", "rules.yaml", directory=tmp_path
    )


def test_prometheus_parses_each_query_of_the_dashboard(tmp_path: Path) -> None:
    # As rules: promtool then parses all of them at once.
    rules = [
        {"record": f"query:{number}", "expr": query.replace("$__rate_interval", "5m")}
        for number, (_, query, _) in enumerate(_queries())
    ]
    (tmp_path / "queries.yaml").write_text(yaml.safe_dump({"groups": [{"name": "all", "rules": rules}]}))
    output = _promtool("check", "rules", "queries.yaml", directory=tmp_path)
    assert f"SUCCESS: {len(rules)} rules found" in output


def _write_rules(directory: Path) -> None:
    (directory / "rules.yaml").write_text(yaml.safe_dump(_rules()["spec"]))


@dataclass(frozen=True, slots=True)
class Case:
    """A course of metrics of one node, one value a minute, and when an alert fires.

    Attributes:
        series: Values by metric, in promtool's notation; names without `{` get the labels of the target.
        fires_min: A minute at which the alert fires.
        silent_min: A minute at which it does not.
        summary: What it says.
        labels: Its labels beside those of the target and its severity.
    """

    series: Mapping[str, str]
    fires_min: int
    silent_min: int
    summary: str
    labels: Mapping[str, str] = field(default_factory=dict)


TARGET = {"node": "node-1", "pod": "monobase-daemon-x", "namespace": "monobase"}
CASES = {
    "MonobaseDown": Case({"up": "1x5 0x40"}, 25, 15, "The daemon on node-1 does not answer"),
    "MonobaseAbsent": Case({"up": "1x5 stale"}, 25, 15, "Prometheus knows no daemon"),
    # It starts every ten minutes, and does not answer for one of them.
    "MonobaseRestarts": Case(
        {"process_start_time_seconds": " ".join(f"{start}x8 stale" for start in range(0, 12000, 600))},
        80, 29, "The daemon on node-1 ends again and again",
    ),
    # Ready for a moment in between, and the hour begins again.
    "MonobaseNotReady": Case(
        {"monobase_ready": "0x50 1 0x100"}, 130, 70, "node-1 has not been ready for an hour"
    ),
    "MonobaseFailures": Case(
        {"monobase_failures_total{kind=index}": "0+1x180"}, 90, 12,
        "node-1: failures of kind index keep coming", {"kind": "index"},
    ),
    # The last round ended at the epoch, when the test begins.
    "MonobaseNotChecking": Case(
        {"monobase_last_check_timestamp_seconds": "0x60", "monobase_round_seconds": "0x60"}, 20, 9,
        "The daemon on node-1 has stopped checking",
    ),
    "MonobaseRoundTooLong": Case(
        {"monobase_round_seconds": "0+60x500"}, 370, 350, "node-1: a round has lasted for 6h 10m 0s"
    ),
    "MonobaseDiskAlmostFull": Case(
        {"monobase_disk_free_bytes": "50x10 9x60", "monobase_disk_size_bytes": "100x70"}, 30, 20,
        "node-1: 9% of the disk with the environments is free",
    ),
    "MonobaseOverBudget": Case(
        {"monobase_disk_budget_used_bytes": "90x10 110x60", "monobase_disk_budget_bytes": "100x70"}, 45, 35,
        "node-1 is over its disk budget",
    ),
    "MonobaseDamaged": Case(
        {
            "monobase_environments{generation=g00003,state=damaged}": "0x10 1x60",
            "monobase_toolkits{generation=g00003,state=damaged}": "0x70",
        },
        30, 20, "node-1: 1 environments or toolkits of g00003 are damaged", {"generation": "g00003"},
    ),
    "MonobaseModelsWait": Case(
        {"monobase_requested": "0x5 2x100"}, 70, 60, "node-1: models have waited for an hour"
    ),
}  # fmt: skip
# Courses of a node that is well, however long they last.
WELL = {
    "MonobaseDown": {"up": "1x50 0x10 1x300"},
    "MonobaseAbsent": {"up": "0x300"},
    # Three times in an hour is still a bad day of the node.
    "MonobaseRestarts": {"process_start_time_seconds": "0x9 600x9 1200x9 1800x300"},
    "MonobaseNotReady": {"monobase_ready": "1x600"},
    # Now and then something fails, such as an index that is restarted.
    "MonobaseFailures": {"monobase_failures_total{kind=index}": "0+1x3 3x600"},
    # A first install: no round has ended, and one goes on.
    "MonobaseNotChecking": {
        "monobase_last_check_timestamp_seconds": "0x300",
        "monobase_round_seconds": "1+60x300",
    },
    # At the bound, not beyond it.
    "MonobaseRoundTooLong": {"monobase_round_seconds": "21600x300"},
    "MonobaseDiskAlmostFull": {"monobase_disk_free_bytes": "10x300", "monobase_disk_size_bytes": "100x300"},
    "MonobaseDamaged": {
        "monobase_environments{generation=g00003,state=damaged}": "0x300",
        "monobase_environments{generation=g00003,state=missing}": "5x300",
        "monobase_toolkits{generation=g00003,state=damaged}": "0x300",
    },
    "MonobaseModelsWait": {"monobase_requested": "2x50 0 2x50 0x300"},
    "MonobaseOverBudget": {
        "monobase_disk_budget_used_bytes": "100x300",
        "monobase_disk_budget_bytes": "100x300",
    },
}


def _name(series: str, target: Mapping[str, str] | None = None) -> str:
    name, _, labels = series.rstrip("}").partition("{")
    pairs = dict(label.split("=") for label in labels.split(",") if label)
    return (
        f"{name}{{{', '.join(f'{key}={value!r}' for key, value in {**(target or TARGET), **pairs}.items())}}}"
    )


def _test_file(
    series: Mapping[str, str], checks: list[dict[str, Any]], others: Mapping[str, str] | None = None
) -> str:
    """Return a test for promtool; `others` are series with the labels that they name."""
    values = [{"series": _name(name), "values": course} for name, course in series.items()]
    values += [{"series": name, "values": course} for name, course in (others or {}).items()]
    test = {"interval": "1m", "input_series": values, "alert_rule_test": checks}
    return yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": [test]})


def test_each_alert_has_a_case() -> None:
    assert CASES.keys() == _alerts().keys()


@pytest.mark.parametrize("name", CASES)
def test_an_alert_fires_after_its_time_and_not_before(tmp_path: Path, name: str) -> None:
    case, alert = CASES[name], _alerts()[name]
    # promtool compares all annotations. The summary is enough to see that values and labels reach it.
    del alert["annotations"]["description"]
    groups = [{"name": "monobase", "rules": [alert]}]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": groups}))
    labels = {**({} if name == "MonobaseAbsent" else TARGET), **case.labels, **alert["labels"]}
    fires = {"exp_labels": labels, "exp_annotations": {"summary": case.summary}}
    checks: list[dict[str, Any]] = [
        {"eval_time": f"{case.silent_min}m", "alertname": name, "exp_alerts": []},
        {"eval_time": f"{case.fires_min}m", "alertname": name, "exp_alerts": [fires]},
    ]
    (tmp_path / "test.yaml").write_text(_test_file(case.series, checks))
    _promtool("test", "rules", "test.yaml", directory=tmp_path)


@pytest.mark.parametrize("name", [name for name in CASES if name in WELL and name != "MonobaseAbsent"])
def test_an_alert_names_the_node_that_is_ill_and_no_other(tmp_path: Path, name: str) -> None:
    case, alert = CASES[name], _alerts()[name]
    del alert["annotations"]["description"]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "monobase", "rules": [alert]}]}))
    other = {**TARGET, "node": "node-2", "pod": "monobase-daemon-y"}
    well = {_name(series, other): course for series, course in WELL[name].items()}
    labels = {**TARGET, **case.labels, **alert["labels"]}
    fires = {"exp_labels": labels, "exp_annotations": {"summary": case.summary}}
    checks = [{"eval_time": f"{case.fires_min}m", "alertname": name, "exp_alerts": [fires]}]
    (tmp_path / "test.yaml").write_text(_test_file(case.series, checks, well))
    _promtool("test", "rules", "test.yaml", directory=tmp_path)


# Courses of a daemon that starts again in its pod: series end with a scrape that fails, counters begin at 0.
RESTARTS = {
    "MonobaseNotReady": ({"monobase_ready": "0x20 stale 0x20 stale 0x60"}, 90),
    "MonobaseFailures": ({"monobase_failures_total{kind=index}": "0+1x30 _ 0+1x90"}, 60),
    "MonobaseDamaged": (
        {
            "monobase_environments{generation=g00003,state=damaged}": "1x20 stale 1x40",
            "monobase_toolkits{generation=g00003,state=damaged}": "0x20 stale 0x40",
        },
        50,
    ),
}


@pytest.mark.parametrize("name", RESTARTS)
def test_a_daemon_that_starts_again_does_not_hide_what_is_wrong(tmp_path: Path, name: str) -> None:
    series, minute = RESTARTS[name]
    case, alert = CASES[name], _alerts()[name]
    del alert["annotations"]["description"]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": [{"name": "monobase", "rules": [alert]}]}))
    labels = {**TARGET, **case.labels, **alert["labels"]}
    fires = {"exp_labels": labels, "exp_annotations": {"summary": case.summary}}
    checks = [{"eval_time": f"{minute}m", "alertname": name, "exp_alerts": [fires]}]
    (tmp_path / "test.yaml").write_text(_test_file(series, checks))
    _promtool("test", "rules", "test.yaml", directory=tmp_path)


def test_without_metrics_only_their_absence_is_an_alert(tmp_path: Path) -> None:
    _write_rules(tmp_path)
    names = [name for name in _alerts() if name != "MonobaseAbsent"]
    checks: list[dict[str, Any]] = [
        {"eval_time": "300m", "alertname": name, "exp_alerts": []} for name in names
    ]
    (tmp_path / "test.yaml").write_text(_test_file({"monobase_elsewhere": "1x300"}, checks))
    _promtool("test", "rules", "test.yaml", directory=tmp_path)


@pytest.mark.parametrize("name", WELL)
def test_a_node_that_is_well_is_left_alone(tmp_path: Path, name: str) -> None:
    _write_rules(tmp_path)
    minutes = range(0, 300, 20)
    checks = [{"eval_time": f"{minute}m", "alertname": name, "exp_alerts": []} for minute in minutes]
    (tmp_path / "test.yaml").write_text(_test_file(WELL[name], checks))
    _promtool("test", "rules", "test.yaml", directory=tmp_path)
