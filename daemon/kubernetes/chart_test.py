"""The Helm chart: the same objects as kustomize, for the values and the overlay that mean the same."""

import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
import yaml

from daemon.cli.main import run
from daemon.download_limit.rate_limit import parse_rate
from daemon.prefix.disk_budget import parse_amount
from image.oci.layout import read_layout
from tests.registry.local_registry import LocalRegistry
from tools.deploy.base import Image
from tools.deploy.chart.chart import NAME, make_chart, to_archive, write_artifact
from tools.deploy.chart.helm import helm, helm_template
from tools.deploy.chart.options import OPTIONS, OTHER_VARIABLES
from tools.deploy.chart.sources import read_sources
from tools.deploy.kustomize import kustomize, overlay, validate
from tools.deploy.server_changes import server_changes

pytest_plugins = ["tests.registry.fixture"]

HERE = Path(__file__).parent
DIGEST = "sha256:" + "1" * 64
REPOSITORY = "registry.example/team/monobase-daemon"
IMAGES = [{"name": "monobase-daemon", "newName": REPOSITORY, "digest": DIGEST}]
VERSION = "1.2.0"
Fields = dict[str, Any]
Manifest = dict[str, Any]


def _archive(repository: str | None = REPOSITORY) -> bytes:
    components = {path.name: path for path in (HERE / "components").iterdir()}
    image = Image("monobase-daemon", DIGEST, repository)
    return to_archive(make_chart(read_sources(HERE / "base", components), image, VERSION))


@pytest.fixture
def chart(tmp_path: Path) -> Path:
    path = tmp_path / f"{NAME}-{VERSION}.tgz"
    path.write_bytes(_archive())
    return path


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Copy the manifests, which Bazel gives as links: kustomize follows none out of its folder."""
    for name in ("base", "components"):
        shutil.copytree(HERE / name, tmp_path / name)
    return tmp_path


def _variables(**variables: str) -> Fields:
    """Return fields of an overlay that set variables of the daemon."""
    entries = [{"name": name, "value": value} for name, value in variables.items()]
    return _patch({"containers": [{"name": "daemon", "env": entries}]})


def _patch(pod: Fields) -> Fields:
    """Return fields of an overlay with a strategic merge patch of the pods."""
    metadata = {"name": "monobase-daemon"}
    patch = {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata}
    return {"patches": [{"patch": yaml.safe_dump({**patch, "spec": {"template": {"spec": pod}}})}]}


def _json_patch(kind: str, path: str, value: object, operation: str = "replace") -> Fields:
    operations = [{"op": operation, "path": path, "value": value}]
    return {"patches": [{"target": {"kind": kind}, "patch": yaml.safe_dump(operations)}]}


def _component(name: str) -> Fields:
    return {"components": [f"../components/{name}"]}


_FROM = [{"podSelector": {"matchLabels": {"app": "prometheus"}}}]
_TOLERATIONS = [{"key": "example.com/pool", "operator": "Exists"}]
_SPOT = {"key": "example.com/spot", "operator": "DoesNotExist"}
# What a user sets in the chart, and the overlay of one with the same intention.
CASES: dict[str, tuple[Fields, Fields]] = {
    "nothing": ({}, {}),
    "a range": (
        {"range": {"minGenId": 2, "maxGenId": 3}, "prune": {"oldGenerations": True}},
        _variables(MONOBASE_MIN_GEN_ID="2", MONOBASE_MAX_GEN_ID="3", MONOBASE_PRUNE_OLD_GEN="true"),
    ),
    "a large generation": ({"range": {"minGenId": 12345678}}, _variables(MONOBASE_MIN_GEN_ID="12345678")),
    "a pool": (
        {"selection": {"pool": "cuda13"}, "prune": {"unselected": True}},
        _variables(MONOBASE_POOL="cuda13", MONOBASE_PRUNE_UNSELECTED="true"),
    ),
    "a selection": (
        {"selection": {"only": ["python3.11-*", "cuda13.0"]}},
        _variables(MONOBASE_ONLY="python3.11-* cuda13.0"),
    ),
    "on demand within a budget": (
        {
            "onDemand": {"enabled": True, "eager": ["*-torch2.13.0-*"]},
            "budget": {"diskBudget": "60%", "keepFree": "50G"},
        },
        _variables(
            MONOBASE_ON_DEMAND="true",
            MONOBASE_EAGER="*-torch2.13.0-*",
            MONOBASE_DISK_BUDGET="60%",
            MONOBASE_KEEP_FREE="50G",
        ),
    ),
    "sources and variables": (
        {
            "sources": {"indexUrl": "https://index.example/simple", "pythonMirror": "https://mirror.example"},
            "work": {"jobs": 2, "concurrentDownloads": 4, "maxDownloadRate": "100M"},
            "env": {"UV_HTTP_TIMEOUT": "120", "MONOBASE_LOG_FORMAT": "text"},
        },
        _variables(
            MONOBASE_INDEX_URL="https://index.example/simple",
            MONOBASE_PYTHON_MIRROR="https://mirror.example",
            MONOBASE_JOBS="2",
            MONOBASE_CONCURRENT_DOWNLOADS="4",
            MONOBASE_MAX_DOWNLOAD_RATE="100M",
            UV_HTTP_TIMEOUT="120",
            MONOBASE_LOG_FORMAT="text",
        ),
    ),
    "another secret": (
        {"sources": {"secret": "index"}},
        _json_patch("DaemonSet", "/spec/template/spec/containers/0/envFrom/0/secretRef/name", "index"),
    ),
    "resources and nodes": (
        {
            "resources": {"requests": {"cpu": "2"}},
            "nodeSelector": {"example.com/pool": "gpu"},
            "tolerations": _TOLERATIONS,
        },
        _patch(
            {
                "containers": [{"name": "daemon", "resources": {"requests": {"cpu": "2"}}}],
                "nodeSelector": {"example.com/pool": "gpu"},
                "tolerations": _TOLERATIONS,
            }
        ),
    ),
    "no toleration": ({"tolerations": []}, _patch({"tolerations": None})),
    "a further requirement of nodes": (
        {"nodeAffinity": [_SPOT]},
        _json_patch(
            "DaemonSet",
            "/spec/template/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution"
            "/nodeSelectorTerms/0/matchExpressions/-",
            _SPOT,
            "add",
        ),
    ),
    "nodes with a GPU": (
        {"nodeAffinity": [{"key": "nvidia.com/gpu.present", "operator": "In", "values": ["true"]}]},
        _component("gpu-nodes"),
    ),
    "ten nodes of a hundred": (
        {"updateStrategy": {"maxUnavailable": "10%"}},
        _json_patch("DaemonSet", "/spec/updateStrategy/rollingUpdate/maxUnavailable", "10%"),
    ),
    "the priority of the system": (
        {"priority": {"create": False, "className": "system-node-critical", "quota": True}},
        _component("system-priority"),
    ),
    "a secret of the registry": (
        {"image": {"pullSecrets": [{"name": "monobase-registry"}]}},
        _component("image-pull-secret"),
    ),
    "a large fleet": (
        {
            "updateStrategy": {"maxUnavailable": "10%", "minReadySeconds": 30},
            "work": {"firstFetchJitter": 60},
        },
        _component("large-fleet"),
    ),
    "a large fleet with other figures": (
        {
            "updateStrategy": {"maxUnavailable": "5%", "minReadySeconds": 120},
            "work": {"firstFetchJitter": 600},
        },
        _component("large-fleet")
        | {
            "patches": [
                *_json_patch("DaemonSet", "/spec/updateStrategy/rollingUpdate/maxUnavailable", "5%")[
                    "patches"
                ],
                *_json_patch("DaemonSet", "/spec/minReadySeconds", 120)["patches"],
                *_variables(MONOBASE_FIRST_FETCH_JITTER="600")["patches"],
            ]
        },
    ),
    "logins for sources": (
        {"sources": {"order": ["oci://registry.example/wheels"], "login": True}},
        _component("source-login") | _variables(MONOBASE_SOURCES="oci://registry.example/wheels"),
    ),
    "peers": (
        {"dragonfly": {"enabled": True}, "sources": {"order": ["oci://registry.example/wheels", "index"]}},
        _component("dragonfly") | _variables(MONOBASE_SOURCES="oci://registry.example/wheels index"),
    ),
    "peers on another port": (
        {"dragonfly": {"enabled": True}, "env": {"MONOBASE_P2P": "http://$(HOST_IP):65001"}},
        _component("dragonfly") | _variables(MONOBASE_P2P="http://$(HOST_IP):65001"),
    ),
    "a network policy": ({"networkPolicy": {"enabled": True}}, _component("network-policy")),
    "a network policy for another Prometheus": (
        {"networkPolicy": {"enabled": True, "from": _FROM}},
        _component("network-policy") | _json_patch("NetworkPolicy", "/spec/ingress/0/from", _FROM),
    ),
    "a pod monitor": ({"podMonitor": {"enabled": True}}, _component("pod-monitor")),
    "alerts": ({"prometheusRule": {"enabled": True}}, _component("prometheus-rule")),
    "a dashboard": ({"dashboard": {"enabled": True}}, _component("grafana-dashboard")),
    "labels of nodes": ({"nodeFeatureDiscovery": {"enabled": True}}, _component("node-feature-discovery")),
    "compiled code": ({"compileCache": {"enabled": True}}, _component("compile-cache")),
    "compiled code of a size": (
        {"compileCache": {"enabled": True}, "env": {"MONOBASE_COMPILE_CACHE_SIZE": "5G"}},
        _component("compile-cache") | _variables(MONOBASE_COMPILE_CACHE_SIZE="5G"),
    ),
    "a startup taint": ({"startupTaint": {"enabled": True}}, _component("startup-taint")),
    "a startup taint of a pool": (
        {"startupTaint": {"enabled": True, "nodeLabels": {"example.com/pool": "gpu"}}},
        _component("startup-taint")
        | _json_patch("NodeReadinessRule", "/spec/nodeSelector/matchLabels", {"example.com/pool": "gpu"}),
    ),
}


def _by_name(manifests: list[Manifest]) -> dict[str, Manifest]:
    """Return objects by kind and name, with lists whose order means nothing in one order.

    A chart has no Namespace: Helm's is that of the release, and exists before it.
    """
    found = {}
    for manifest in manifests:
        if manifest["kind"] == "DaemonSet":
            pod = manifest["spec"]["template"]["spec"]
            (container,) = pod["containers"]
            for items in (container["env"], container["volumeMounts"], pod["volumes"]):
                items.sort(key=lambda item: str(item["name"]))
        if manifest["kind"] == "NodeReadinessRule":
            # kustomize does not know that it has no namespace.
            manifest["metadata"].pop("namespace", None)
        if manifest["kind"] != "Namespace":
            found[f"{manifest['kind']}/{manifest['metadata']['name']}"] = manifest
    return found


def _rendered(chart: Path, values: Fields, tmp_path: Path) -> list[Manifest]:
    return helm_template(chart, values, tmp_path, "--namespace", "monobase")


@pytest.mark.parametrize("case", CASES)
def test_chart_and_kustomization_render_the_same_objects(
    chart: Path, tree: Path, tmp_path: Path, case: str
) -> None:
    values, fields = CASES[case]
    rendered = _rendered(chart, values, tmp_path)
    expected = kustomize(overlay(tree / "overlay", "../base", {**fields, "images": IMAGES}))
    assert _by_name(rendered) == _by_name(expected)
    assert len(validate(rendered)) >= len(rendered) - 1  # a PodMonitor has no schema
    assert [change for manifest in rendered for change in server_changes(manifest)] == []


def test_labels_and_annotations_are_added(chart: Path, tmp_path: Path) -> None:
    values, _ = _merged(TOGETHER)
    values |= {"podAnnotations": {"example.com/a": "b"}, "podLabels": {"example.com/team": "ml"}}
    values["podMonitor"] |= {"labels": {"release": "prometheus"}}
    found = _by_name(_rendered(chart, values, tmp_path))
    template = found["DaemonSet/monobase-daemon"]["spec"]["template"]["metadata"]
    assert template["labels"]["example.com/team"] == "ml"
    assert template["annotations"]["example.com/a"] == "b"
    assert "prometheus.io/scrape" not in template["annotations"]
    assert found["PodMonitor/monobase-daemon"]["metadata"]["labels"]["release"] == "prometheus"


def test_the_address_of_the_node_is_set_before_the_variable_that_names_it(
    chart: Path, tree: Path, tmp_path: Path
) -> None:
    # Kubernetes replaces $(NAME) by what stands before it in the list, and by nothing else.
    rendered = _rendered(chart, {"dragonfly": {"enabled": True}}, tmp_path)
    kustomized = kustomize(overlay(tree / "overlay", "../base", _component("dragonfly")))
    for manifests in (rendered, kustomized):
        (pod,) = [each["spec"]["template"]["spec"] for each in manifests if each["kind"] == "DaemonSet"]
        names = [entry["name"] for entry in pod["containers"][0]["env"]]
        assert names.index("HOST_IP") < names.index("MONOBASE_P2P")


def test_helm_finds_no_fault_in_the_chart(chart: Path, tmp_path: Path) -> None:
    done = helm("lint", "--strict", str(chart), directory=tmp_path)
    assert done.returncode == 0, done.stdout
    assert "1 chart(s) linted, 0 chart(s) failed" in done.stdout
    assert "[WARNING]" not in done.stdout


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"range": {"minGenID": 2}}, "minGenID"),
        ({"range": {"minGenId": "2"}}, "/range/minGenId"),
        ({"updateStrategy": {"minReadySeconds": "30s"}}, "/updateStrategy/minReadySeconds"),
        ({"work": {"firstFetchJitter": -1}}, "/work/firstFetchJitter"),
        ({"budget": {"diskBudget": "300 GB"}}, "/budget/diskBudget"),
        ({"image": {"digest": "v1"}}, "/image/digest"),
        ({"budget": {"diskBudget": "150%"}}, "/budget/diskBudget"),
        ({"budget": {"keepFree": 50}}, "/budget/keepFree"),
        ({"selection": {"pool": "cuda 13"}}, "/selection/pool"),
        ({"selection": {"only": "cuda13.0"}}, "/selection/only"),
        ({"sources": {"order": ["registry.example/wheels"]}}, "/sources/order/0"),
        ({"sources": {"secret": "My_Index"}}, "/sources/secret"),
        # What Kubernetes would refuse, or what no node could pull.
        ({"image": {"repository": "registry.example/team/monobase-daemon:v1"}}, "/image/repository"),
        ({"image": {"repository": "https://registry.example/monobase-daemon"}}, "/image/repository"),
        ({"image": {"pullSecrets": ["monobase-registry"]}}, "/image/pullSecrets/0"),
        ({"image": {"pullSecrets": [{"nam": "monobase-registry"}]}}, "/image/pullSecrets/0"),
        ({"env": {"UV_HTTP_TIMEOUT": 120}}, "/env/UV_HTTP_TIMEOUT"),
        ({"env": {"UV-HTTP-TIMEOUT": "120"}}, "UV-HTTP-TIMEOUT"),
        ({"env": {"POD": {"valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}}}, "/env/POD"),
        ({"env": [{"name": "A", "value": "1"}]}, "/env"),
        ({"envFrom": [{"configMap": {"name": "a"}}]}, "/envFrom/0"),
        ({"resources": {"limits": {"memory": "10GB"}}}, "/resources/limits/memory"),
        ({"resources": {"request": {"cpu": "1"}}}, "request"),
        ({"nodeSelector": {"example.com/gpu": True}}, "/nodeSelector/example.com~1gpu"),
        ({"nodeSelector": {"example.com/pool": "p" * 64}}, "/nodeSelector/example.com~1pool"),
        ({"nodeAffinity": [{"key": "a", "operator": "Is", "values": ["b"]}]}, "/nodeAffinity/0/operator"),
        ({"tolerations": ["nvidia.com/gpu"]}, "/tolerations/0"),
        ({"tolerations": [{"key": "a", "operator": "Exist"}]}, "/tolerations/0/operator"),
        ({"podLabels": {"team": "of two words"}}, "/podLabels/team"),
        ({"updateStrategy": {"maxUnavailable": 0}}, "/updateStrategy/maxUnavailable"),
        ({"updateStrategy": {"maxUnavailable": "10"}}, "/updateStrategy/maxUnavailable"),
        ({"priority": {"className": "Highest"}}, "/priority/className"),
        # It would admit everybody.
        ({"networkPolicy": {"from": []}}, "/networkPolicy/from"),
        ({"networkPolicy": {"from": [{}]}}, "/networkPolicy/from/0"),
        ({"networkPolicy": {"from": None}}, "missing property 'from'"),
        # null removes a value.
        ({"image": {"digest": None}}, "missing property 'digest'"),
        ({"range": None}, "missing property 'range'"),
        ({"prioritiy": {}}, "prioritiy"),
    ],
)
def test_a_value_that_the_daemon_would_not_understand_is_refused_with_its_place(
    chart: Path, tmp_path: Path, values: Fields, where: str
) -> None:
    with pytest.raises(AssertionError, match="schema") as refusal:
        _rendered(chart, values, tmp_path)
    assert where in str(refusal.value)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"range": {"minGenId": 4, "maxGenId": 3}}, "range.minGenId 4 is above range.maxGenId 3"),
        ({"range": {"maxGenId": 3}, "env": {"MONOBASE_MIN_GEN_ID": "4"}}, "minGenId 4 is above"),
        (
            {"range": {"minGenId": None}, "prune": {"oldGenerations": True}},
            "prune.oldGenerations needs range.minGenId",
        ),
        ({"selection": {"pool": "cuda13", "only": ["cuda13.0"]}}, "selection.pool and selection.only"),
        (
            {"selection": {"pool": "cuda13"}, "env": {"MONOBASE_ONLY": "a"}},
            "selection.pool and selection.only",
        ),
        ({"onDemand": {"eager": ["a"]}}, "onDemand.eager needs onDemand.enabled"),
        ({"env": {"MONOBASE_MIN_GENID": "3"}}, "env.MONOBASE_MIN_GENID: the daemon has no such variable"),
        ({"env": {"MONOBASE_PREFIX": "/opt"}}, "env.MONOBASE_PREFIX: the chart mounts /srv/r8/monobase"),
        ({"env": {"MONOBASE_LISTEN": "off"}}, "env.MONOBASE_LISTEN: the probes of the chart ask port 8080"),
        ({"sources": {"indexUrl": "https://u:secret@index.example/simple"}}, "indexUrl has a password"),
        ({"sources": {"order": ["oci://u:secret@registry.example/w"]}}, "sources.order has a password"),
        ({"priority": {"className": "system-node-critical"}}, "set priority.create to false"),
        ({"podLabels": {"app.kubernetes.io/name": "a"}}, "the chart itself sets app.kubernetes.io/name"),
        ({"podAnnotations": {"prometheus.io/port": "1"}}, "the chart itself sets prometheus.io/port"),
        (
            {"podMonitor": {"labels": {"app.kubernetes.io/part-of": "a"}}},
            "podMonitor.labels: the chart itself sets app.kubernetes.io/part-of",
        ),
    ],
)
def test_values_that_contradict_each_other_are_refused_with_a_remedy(
    chart: Path, tmp_path: Path, values: Fields, message: str
) -> None:
    # Without the schema as well, which some turn off: a fault of these would show only in a pod's log.
    for options in ([], ["--skip-schema-validation"]):
        with pytest.raises(AssertionError, match="execution error") as refusal:
            helm_template(chart, values, tmp_path, *options)
        assert message in str(refusal.value)
        assert "secret@" not in str(refusal.value)


def test_mappings_and_lists_may_be_removed(chart: Path, tmp_path: Path) -> None:
    names = ("env", "envFrom", "resources", "nodeSelector", "tolerations", "podLabels", "podAnnotations")
    removed: Fields = dict.fromkeys(names)
    (pod,) = [
        each["spec"]["template"]["spec"]
        for each in _rendered(chart, removed, tmp_path)
        if each["kind"] == "DaemonSet"
    ]
    assert not {"nodeSelector", "tolerations"} & pod.keys()
    assert "resources" not in pod["containers"][0]


def test_a_number_of_nodes_stays_one_however_large(chart: Path, tmp_path: Path) -> None:
    # Helm reads numbers of YAML as floating point, and prints this one as 1e+06.
    rendered = _rendered(chart, {"updateStrategy": {"maxUnavailable": 1_000_000}}, tmp_path)
    update = _by_name(rendered)["DaemonSet/monobase-daemon"]["spec"]["updateStrategy"]["rollingUpdate"]
    assert update["maxUnavailable"] == 1_000_000


# What users may write for a budget, right and wrong.
AMOUNTS = "300G 280Gi 1.5T 10GB 2TB 1000000 60% 100% 0.5% 0 0G 0% 150% 100.1% -5G 1e9 300g 300 G .5G 5P 5GBB"


@pytest.mark.parametrize("text", [*AMOUNTS.split(), "300 GB"])
def test_an_amount_is_refused_by_the_chart_if_the_daemon_would_refuse_it(chart: Path, text: str) -> None:
    schema = json.loads(_files(chart.read_bytes())["values.schema.json"])
    pattern = schema["properties"]["budget"]["properties"]["diskBudget"]["pattern"]
    try:
        parse_amount(text)
    except ValueError:
        assert re.search(pattern, text, re.ASCII) is None
    else:
        assert re.search(pattern, text, re.ASCII)


@pytest.mark.parametrize(
    "text", ["100M", "1.5MB", "800k", "2000000", "10k", "100", "100MiB", "-1M", "M", "1 M"]
)
def test_a_rate_is_refused_by_the_chart_if_the_daemon_would_refuse_it(chart: Path, text: str) -> None:
    schema = json.loads(_files(chart.read_bytes())["values.schema.json"])
    pattern = schema["properties"]["work"]["properties"]["maxDownloadRate"]["pattern"]
    try:
        parse_rate(text)
    except ValueError:
        assert re.search(pattern, text, re.ASCII) is None
    else:
        assert re.search(pattern, text, re.ASCII)


def _merged(names: Iterable[str]) -> tuple[Fields, Fields]:
    """Return values and fields of an overlay that mean several cases together."""
    values: Fields = {}
    fields: Fields = {}
    for changed, overlaid in (CASES[name] for name in names):
        for name, value in changed.items():
            values[name] = {**values.get(name, {}), **value} if isinstance(value, Mapping) else value
        for name, items in overlaid.items():
            fields[name] = [*fields.get(name, []), *items]
    return values, fields


# One case of each component, and of values that no component has.
TOGETHER = (
    "a range",
    "a pool",
    "resources and nodes",
    "nodes with a GPU",
    "the priority of the system",
    "a secret of the registry",
    "a large fleet",
    "logins for sources",
    "peers",
    "a network policy",
    "a pod monitor",
    "alerts",
    "a dashboard",
    "labels of nodes",
    "compiled code",
    "a startup taint",
)


@pytest.mark.parametrize("left_out", [None, *TOGETHER])
def test_chart_and_kustomization_agree_on_all_together_and_on_all_but_one(
    chart: Path, tree: Path, tmp_path: Path, left_out: str | None
) -> None:
    values, fields = _merged(name for name in TOGETHER if name != left_out)
    # An overlay's list of tolerations replaces that of a component, so it is in an overlay below.
    patches, components = fields.pop("patches", []), fields.pop("components")
    overlay(tree / "lower", "../base", {"patches": patches})
    fields |= {"components": components, "images": IMAGES}
    expected = kustomize(overlay(tree / "overlay", "../lower", fields))
    assert _by_name(_rendered(chart, values, tmp_path)) == _by_name(expected)


def test_helm_renders_the_same_bytes_each_time(chart: Path, tmp_path: Path) -> None:
    values, _ = _merged(TOGETHER)
    (tmp_path / "values.yaml").write_text(yaml.safe_dump(values))
    arguments = ["template", "monobase", str(chart), "--values", str(tmp_path / "values.yaml")]
    one, other = (helm(*arguments, directory=tmp_path) for _ in range(2))
    assert (one.returncode, one.stdout) == (0, other.stdout)


def test_the_defaults_meet_the_schema_also_within_another_chart(chart: Path) -> None:
    files = _files(chart.read_bytes())
    values = yaml.safe_load(files["values.yaml"])
    schema = yaml.safe_load(files["values.schema.json"])
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.validate({**values, "global": {"imageRegistry": "registry.example"}}, schema)
    assert "# Oldest generation that nodes keep ready" in files["values.yaml"]


def test_each_component_of_the_daemon_has_a_case() -> None:
    used = {Path(path).name for _, fields in CASES.values() for path in fields.get("components", ())}
    # `variables` are the value `env`, and node-problem-detector is for the manifests of that.
    known = {path.name for path in (HERE / "components").iterdir()}
    assert known - used == {"variables", "node-problem-detector"}


def test_the_chart_knows_the_variables_of_the_daemon_and_no_others() -> None:
    known = {str(option.envvar) for option in run.params if getattr(option, "envvar", None)}
    assert {option.variable for option in OPTIONS} | set(OTHER_VARIABLES) == known


def _files(archive: bytes) -> dict[str, str]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        found = {}
        for member in tar:
            stream = tar.extractfile(member)
            assert stream is not None
            found[member.name.removeprefix(f"{NAME}/")] = stream.read().decode()
    return found


def test_the_same_manifests_make_the_same_archive() -> None:
    assert _archive() == _archive()
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(_archive()))) as tar:
        members = list(tar)
    assert members[0].name == f"{NAME}/Chart.yaml"
    assert {(member.mtime, member.uid, member.uname, member.mode) for member in members} == {
        (0, 0, "", 0o644)
    }


def test_what_bazel_writes_has_the_digest_of_the_image() -> None:
    archive = (HERE / "sample_chart.tgz").read_bytes()
    image = yaml.safe_load(_files(archive)["values.yaml"])["image"]
    assert image["digest"] == read_layout(HERE / "sample_image").manifest.digest
    (content,) = read_layout(HERE / "sample_chart").layers
    assert content.digest == f"sha256:{hashlib.sha256(archive).hexdigest()}"


def test_helm_pulls_what_was_pushed(registry: LocalRegistry, tmp_path: Path) -> None:
    command = [os.environ["PUSH"], "daemon/kubernetes/sample_chart"]
    version = yaml.safe_load(_files((HERE / "sample_chart.tgz").read_bytes())["Chart.yaml"])["version"]
    # Helm writes the `+` of a version as `_` in a tag, which cannot have one.
    where = ["--repository", f"{registry.host}/team/{NAME}", "--tag", version.replace("+", "_")]
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    pushed = subprocess.run(
        [*command, *where], env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    assert pushed.returncode == 0, pushed.stderr

    source = f"oci://{registry.host}/team/{NAME}"
    options = ["--version", version, "--plain-http", "--destination", str(tmp_path)]
    pulled = helm("pull", source, *options, directory=tmp_path)
    assert pulled.returncode == 0, pulled.stderr
    (archive,) = tmp_path.glob("*.tgz")
    assert archive.read_bytes() == (HERE / "sample_chart.tgz").read_bytes()


def test_the_artifact_names_its_version(chart: Path, tmp_path: Path) -> None:
    write_artifact(chart, tmp_path / "artifact")
    layout = read_layout(tmp_path / "artifact")
    assert layout.config.media_type == "application/vnd.cncf.helm.config.v1+json"
    assert yaml.safe_load(layout.path(layout.config).read_text())["version"] == VERSION
