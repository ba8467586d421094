"""The manifests of the daemon: valid for Kubernetes, and true of the daemon that they run."""

import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from daemon.cli.main import run
from daemon.prefix.prefix import DEFAULT_PREFIX
from image.architecture import ARCHITECTURES
from image.oci.layout import read_layout
from tools.deploy.base import read_base
from tools.deploy.kustomize import kustomize, overlay, validate
from tools.deploy.rendering import render
from tools.deploy.server_changes import server_changes

HERE = Path(__file__).parent
IMAGE = HERE / "sample_image"
KINDS = ["Namespace", "ServiceAccount", "PriorityClass", "DaemonSet"]
COMPONENTS = sorted(path.name for path in (HERE / "components").iterdir())
# What Kubernetes reserves for itself begins above it.
HIGHEST_PRIORITY = 1_000_000_000
REGISTRY = "registry.example/team"


def _daemon_set(manifests: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = [manifest for manifest in manifests if manifest["kind"] == "DaemonSet"]
    return found


def _pod(manifests: list[dict[str, Any]]) -> dict[str, Any]:
    pod: dict[str, Any] = _daemon_set(manifests)["spec"]["template"]["spec"]
    return pod


def _architectures(manifests: list[dict[str, Any]]) -> list[str]:
    required = _pod(manifests)["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    (term,) = required["nodeSelectorTerms"]
    (expression,) = term["matchExpressions"]
    assert (expression["key"], expression["operator"]) == ("kubernetes.io/arch", "In")
    values: list[str] = expression["values"]
    return values


def _container(manifests: list[dict[str, Any]]) -> dict[str, Any]:
    (container,) = _pod(manifests)["containers"]
    assert isinstance(container, dict)
    return container


def _variables(manifests: list[dict[str, Any]]) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in _container(manifests)["env"] if "value" in entry}


def _fields(manifests: list[dict[str, Any]]) -> dict[str, str]:
    """Return the variables that are fields of the pod."""
    env = _container(manifests)["env"]
    return {
        entry["name"]: entry["valueFrom"]["fieldRef"]["fieldPath"] for entry in env if "valueFrom" in entry
    }


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Copy the manifests, which Bazel gives as links: kustomize follows none out of its folder."""
    for name in ("base", "components", "examples"):
        shutil.copytree(HERE / name, tmp_path / name)
    shutil.copytree(HERE / "sample_base", tmp_path / "built")
    return tmp_path


@pytest.fixture
def base() -> list[dict[str, Any]]:
    return list(read_base(HERE / "base").manifests)


@pytest.fixture
def example(tree: Path) -> list[dict[str, Any]]:
    return kustomize(tree / "examples" / "gpu-pool")


def test_kubernetes_accepts_the_base(tree: Path) -> None:
    compared = validate(kustomize(tree / "base"))
    assert [name.partition("/")[0] for name in compared] == KINDS


def test_kubernetes_accepts_the_example_which_has_both_components(example: list[dict[str, Any]]) -> None:
    compared = validate(example)
    assert [name.partition("/")[0] for name in compared] == KINDS
    assert sorted(manifest["kind"] for manifest in example) == sorted([*KINDS, "PodMonitor"])


def test_what_bazel_writes_is_the_base_with_the_digest_of_the_image(tree: Path) -> None:
    manifests = kustomize(tree / "built")
    digest = read_layout(IMAGE).manifest.digest
    assert _container(manifests)["image"] == f"monobase-daemon@{digest}"
    _container(manifests)["image"] = "monobase-daemon"
    assert manifests == kustomize(tree / "base")


def test_the_daemon_runs_on_nodes_of_each_architecture_that_its_image_is_for(
    base: list[dict[str, Any]],
) -> None:
    assert _architectures(base) == list(ARCHITECTURES)


def test_an_overlay_names_the_repository_and_keeps_the_digest(tree: Path) -> None:
    images = [{"name": "monobase-daemon", "newName": f"{REGISTRY}/monobase-daemon"}]
    manifests = kustomize(overlay(tree / "overlay", "../built", {"images": images}))
    digest = read_layout(IMAGE).manifest.digest
    assert _container(manifests)["image"] == f"{REGISTRY}/monobase-daemon@{digest}"


def test_what_is_rendered_without_kustomize_is_what_kustomize_renders(tree: Path) -> None:
    patch = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "monobase-daemon"},
        "spec": {
            "template": {
                "spec": {
                    "containers": [{"name": "daemon", "env": [{"name": "MONOBASE_MIN_GEN_ID", "value": "2"}]}]
                }
            }
        },
    }
    fields = {
        "namespace": "elsewhere",
        "images": [{"name": "monobase-daemon", "newName": f"{REGISTRY}/monobase-daemon"}],
        "patches": [{"patch": yaml.safe_dump(patch)}],
    }
    expected = kustomize(overlay(tree / "overlay", "../built", fields))
    rendered = render(
        read_base(tree / "built").in_registry(REGISTRY), "elsewhere", {"MONOBASE_MIN_GEN_ID": "2"}
    )
    assert rendered == expected
    assert len(validate(rendered)) == len(KINDS)


def test_a_misspelt_field_is_refused(base: list[dict[str, Any]]) -> None:
    # What the other tests rest on: the schemas are there, and strict.
    _container(base)["imagePulPolicy"] = "Always"
    with pytest.raises(kubernetes_validate.ValidationError, match="imagePulPolicy"):
        validate(base)


def test_each_variable_is_one_of_the_daemon(example: list[dict[str, Any]]) -> None:
    known = {str(option.envvar) for option in run.params if getattr(option, "envvar", None)}
    named = {name for name in _variables(example) if name.startswith("MONOBASE_")}
    assert {"MONOBASE_MIN_GEN_ID", "MONOBASE_FEATURES_DIR"} <= named
    assert named <= known


def test_the_daemon_takes_the_variables_of_the_base(
    base: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("MONOBASE_")]:
        monkeypatch.delenv(name)
    for name, value in _variables(base).items():
        monkeypatch.setenv(name, value)
    options = run.make_context("run", []).params
    assert {name: options[name] for name in ("min_gen_id", "max_gen_id", "prune_old_gen", "log_format")} == {
        "min_gen_id": 1,
        "max_gen_id": None,
        "prune_old_gen": False,
        "log_format": "json",
    }


def test_node_and_container_have_the_prefix_at_the_daemons_own_path(base: list[dict[str, Any]]) -> None:
    (volume,) = [volume for volume in _pod(base)["volumes"] if volume["name"] == "monobase"]
    (mount,) = [mount for mount in _container(base)["volumeMounts"] if mount["name"] == "monobase"]
    assert volume["hostPath"]["path"] == mount["mountPath"] == str(DEFAULT_PREFIX)


def test_probes_and_annotations_name_the_port_at_which_the_daemon_listens(base: list[dict[str, Any]]) -> None:
    (listen,) = [option for option in run.params if option.name == "listen"]
    (port,) = _container(base)["ports"]
    assert str(listen.default).endswith(f":{port['containerPort']}")
    probes = [_container(base)[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness")]
    assert probes == [{"path": "/healthz", "port": port["name"]}] * 2
    assert _ready_command(base)[-1] == f"http://127.0.0.1:{port['containerPort']}/readyz?format=text"
    annotations = _daemon_set(base)["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(port["containerPort"])


def _ready_command(manifests: list[dict[str, Any]]) -> list[str]:
    command: list[str] = _container(manifests)["readinessProbe"]["exec"]["command"]
    return command


@contextmanager
def _answering(status: int, text: str) -> Iterator[int]:
    """Answer requests with a status and a text, as the daemon does; yield the port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(f"{self.path}: {text}\n".encode())

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "text", "ready"), [(200, "ready: g00003", True), (503, "not ready", False)]
)
def test_the_probe_of_readiness_prints_the_daemons_words_for_the_event(
    base: list[dict[str, Any]], status: int, text: str, ready: bool
) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed here; the daemon's image has it")
    with _answering(status, text) as port:
        command = [word.replace(":8080/", f":{port}/") for word in _ready_command(base)]
        # A proxy of the daemon, from its Secret, is no way to the daemon itself.
        done = subprocess.run(
            command,
            env={"PATH": os.environ["PATH"], "http_proxy": "http://127.0.0.1:9"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert (done.returncode == 0) == ready
    assert done.stdout == f"/readyz?format=text: {text}\n"


def test_the_end_of_the_log_is_where_people_look_when_the_daemon_gives_up(base: list[dict[str, Any]]) -> None:
    assert _container(base)["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_the_daemon_preempts_models_of_any_priority(base: list[dict[str, Any]]) -> None:
    priority = _of_kind(base, "PriorityClass")
    assert _pod(base)["priorityClassName"] == priority["metadata"]["name"]
    assert priority["value"] == HIGHEST_PRIORITY
    assert priority.get("preemptionPolicy", "PreemptLowerPriority") == "PreemptLowerPriority"
    # A class that every pod without one gets would preempt nobody.
    assert "globalDefault" not in priority


def test_what_cannot_be_changed_in_a_cluster_is_what_it_always_was(
    tree: Path, base: list[dict[str, Any]]
) -> None:
    # Another value would make `kubectl apply` and `helm upgrade` fail for whoever has an earlier version.
    assert _daemon_set(base)["spec"]["selector"] == {
        "matchLabels": {"app.kubernetes.io/name": "monobase-daemon"}
    }
    priority = _of_kind(base, "PriorityClass")
    assert {key: value for key, value in priority.items() if key not in ("metadata", "description")} == {
        "apiVersion": "scheduling.k8s.io/v1",
        "kind": "PriorityClass",
        "value": HIGHEST_PRIORITY,
    }
    assert _of_kind(_component(tree, "startup-taint"), "NodeReadinessRule")["spec"] == {
        "nodeSelector": {"matchLabels": {"monobase-startup-taint": "true"}},
        "conditions": [{"type": "MonobaseReady", "requiredStatus": "True"}],
        "taint": {"key": "readiness.k8s.io/monobase-not-ready", "effect": "NoSchedule"},
        "enforcementMode": "bootstrap-only",
    }


def test_with_kubernetes_own_priority_a_quota_admits_the_daemon(tree: Path) -> None:
    manifests = _component(tree, "system-priority", namespace="elsewhere")
    assert "PriorityClass" not in [manifest["kind"] for manifest in manifests]
    name = _pod(manifests)["priorityClassName"]
    assert name == "system-node-critical"
    quota = _of_kind(manifests, "ResourceQuota")
    assert quota["metadata"]["namespace"] == "elsewhere"
    (expression,) = quota["spec"]["scopeSelector"]["matchExpressions"]
    assert expression == {"scopeName": "PriorityClass", "operator": "In", "values": [name]}
    assert list(quota["spec"]["hard"]) == ["pods"]


def _rendered(tree: Path, name: str) -> list[dict[str, Any]]:
    """Render the base alone, with a component, or an example."""
    if name in COMPONENTS:
        return _component(tree, name)
    return kustomize(tree / name)


@pytest.mark.parametrize(
    "name",
    [
        "base",
        *(name for name in COMPONENTS if name != "node-problem-detector"),
        "examples/gpu-pool",
        "examples/tainted-pool",
    ],
)
def test_the_api_server_keeps_each_field_so_that_a_second_apply_says_unchanged(tree: Path, name: str) -> None:
    changes = [change for manifest in _rendered(tree, name) for change in server_changes(manifest)]
    assert changes == []


def test_the_api_server_keeps_each_field_of_node_problem_detector(detector: Path) -> None:
    assert [change for manifest in kustomize(detector) for change in server_changes(manifest)] == []


def test_only_prometheus_has_a_way_to_the_daemon(tree: Path) -> None:
    manifests = _component(tree, "network-policy", namespace="elsewhere")
    assert "NetworkPolicy/monobase-daemon" in validate(manifests)
    policy = _of_kind(manifests, "NetworkPolicy")
    labels = _daemon_set(manifests)["spec"]["template"]["metadata"]["labels"]
    assert policy["metadata"]["namespace"] == "elsewhere"
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    # With Egress, the daemon could not reach the index.
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    (rule,) = policy["spec"]["ingress"]
    # Two items would admit every pod of the namespace, and each Prometheus of the cluster.
    (source,) = rule["from"]
    assert sorted(source) == ["namespaceSelector", "podSelector"]
    assert [port["port"] for port in rule["ports"]] == [
        port["name"] for port in _container(manifests)["ports"]
    ]


def test_the_service_account_names_the_secret_of_the_registry(tree: Path) -> None:
    manifests = _component(tree, "image-pull-secret")
    assert len(validate(manifests)) == len(KINDS)
    account = _of_kind(manifests, "ServiceAccount")
    assert account["imagePullSecrets"] == [{"name": "monobase-registry"}]
    assert account["automountServiceAccountToken"] is False


def _variables_map(tree: Path, literals: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Render the base with further variables; return the ConfigMap and the DaemonSet."""
    shutil.rmtree(tree / "overlay", ignore_errors=True)
    generator = {"name": "monobase-variables", "literals": literals}
    manifests = _component(tree, "variables", namespace="elsewhere", configMapGenerator=[generator])
    assert len(validate(manifests)) == len(KINDS) + 1
    return _of_kind(manifests, "ConfigMap"), _daemon_set(manifests)


def test_further_variables_restart_the_daemons_when_they_change(tree: Path) -> None:
    config_map, daemon_set = _variables_map(tree, ["HTTPS_PROXY=http://proxy.example:3128"])
    assert config_map["data"] == {"HTTPS_PROXY": "http://proxy.example:3128"}
    assert config_map["metadata"]["namespace"] == daemon_set["metadata"]["namespace"] == "elsewhere"
    secret, variables = daemon_set["spec"]["template"]["spec"]["containers"][0]["envFrom"]
    assert secret == {"secretRef": {"name": "monobase-index", "optional": True}}
    assert variables == {"configMapRef": {"name": config_map["metadata"]["name"]}}
    changed, _ = _variables_map(tree, ["HTTPS_PROXY=http://other.example:3128"])
    assert changed["metadata"]["name"] != config_map["metadata"]["name"]


def test_nodes_with_a_gpu_are_required_beside_what_the_base_requires(
    tree: Path, base: list[dict[str, Any]]
) -> None:
    manifests = _component(tree, "gpu-nodes")
    assert len(validate(manifests)) == len(KINDS)
    required = _pod(manifests)["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    # Expressions of one term are all required; terms are alternatives.
    (term,) = required["nodeSelectorTerms"]
    architecture, gpu = term["matchExpressions"]
    assert architecture["values"] == _architectures(base)
    assert gpu == {"key": "nvidia.com/gpu.present", "operator": "In", "values": ["true"]}


def test_a_pod_monitor_takes_the_place_of_the_annotations(tree: Path) -> None:
    manifests = kustomize(overlay(tree / "overlay", "../base", {"components": ["../components/pod-monitor"]}))
    daemon_set = _daemon_set(manifests)
    annotations = daemon_set["spec"]["template"]["metadata"]["annotations"]
    assert list(annotations) == ["kubectl.kubernetes.io/default-container"]
    (monitor,) = [manifest for manifest in manifests if manifest["kind"] == "PodMonitor"]
    assert monitor["metadata"]["namespace"] == daemon_set["metadata"]["namespace"]
    labels = daemon_set["spec"]["template"]["metadata"]["labels"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= labels.items()
    ports = {port["name"] for port in _container(manifests)["ports"]}
    assert {endpoint["port"] for endpoint in monitor["spec"]["podMetricsEndpoints"]} <= ports


def test_features_are_written_to_the_folder_that_is_mounted(tree: Path) -> None:
    manifests = kustomize(
        overlay(tree / "overlay", "../base", {"components": ["../components/node-feature-discovery"]})
    )
    assert len(validate(manifests)) == len(KINDS)
    directory = _variables(manifests)["MONOBASE_FEATURES_DIR"]
    (volume,) = [volume for volume in _pod(manifests)["volumes"] if volume["name"] == "features"]
    (mount,) = [mount for mount in _container(manifests)["volumeMounts"] if mount["name"] == "features"]
    assert volume["hostPath"]["path"] == mount["mountPath"] == directory


def test_the_compile_cache_lies_in_the_folder_that_is_mounted_and_outside_of_the_prefix(tree: Path) -> None:
    manifests = _component(tree, "compile-cache")
    assert len(validate(manifests)) == len(KINDS)
    (volume,) = [volume for volume in _pod(manifests)["volumes"] if volume["name"] == "compile-cache"]
    (mount,) = [mount for mount in _container(manifests)["volumeMounts"] if mount["name"] == "compile-cache"]
    assert volume["hostPath"]["path"] == mount["mountPath"]
    variables = _variables(manifests)
    assert Path(variables["MONOBASE_COMPILE_CACHE"]).parent == Path(mount["mountPath"])
    assert not Path(mount["mountPath"]).is_relative_to(DEFAULT_PREFIX)
    # It removes what models wrote, and still cannot become another user.
    capabilities = _container(manifests)["securityContext"]["capabilities"]
    assert capabilities == {"drop": ["ALL"], "add": ["DAC_OVERRIDE"]}


def test_the_login_for_sources_is_read_from_the_secret_that_is_mounted(tree: Path) -> None:
    manifests = _component(tree, "source-login")
    assert len(validate(manifests)) == len(KINDS)
    (volume,) = [volume for volume in _pod(manifests)["volumes"] if volume["name"] == "source-login"]
    (mount,) = [mount for mount in _container(manifests)["volumeMounts"] if mount["name"] == "source-login"]
    assert volume["secret"]["secretName"] == "monobase-registry"
    assert mount["readOnly"]
    path = Path(_variables(manifests)["MONOBASE_REGISTRY_CONFIG"])
    assert path == Path(mount["mountPath"]) / ".dockerconfigjson"


def test_a_large_fleet_changes_a_share_of_its_nodes_and_spreads_what_they_fetch(tree: Path) -> None:
    manifests = _component(tree, "large-fleet")
    assert len(validate(manifests)) == len(KINDS)
    spec = _daemon_set(manifests)["spec"]
    assert spec["minReadySeconds"] > 0
    # A surge would wait for the first daemon's lock for ever.
    assert spec["updateStrategy"]["rollingUpdate"] == {"maxUnavailable": "10%", "maxSurge": 0}
    known = {str(option.envvar) for option in run.params if getattr(option, "envvar", None)}
    assert float(_variables(manifests)["MONOBASE_FIRST_FETCH_JITTER"]) > 0
    assert "MONOBASE_FIRST_FETCH_JITTER" in known
    assert _fields(manifests) == {"NODE_NAME": "spec.nodeName"}


def test_peers_are_asked_at_the_address_of_the_node(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifests = _component(tree, "dragonfly")
    assert len(validate(manifests)) == len(KINDS)
    assert _fields(manifests) == {"HOST_IP": "status.hostIP"}
    for name in [name for name in os.environ if name.startswith("MONOBASE_")]:
        monkeypatch.delenv(name)
    address = _variables(manifests)["MONOBASE_P2P"].replace("$(HOST_IP)", "192.0.2.7")
    monkeypatch.setenv("MONOBASE_P2P", address)
    assert run.make_context("run", []).params["p2p"] == ("192.0.2.7", 4001)


def test_the_example_changes_what_it_says_and_keeps_the_rest(example: list[dict[str, Any]]) -> None:
    assert {manifest["metadata"].get("namespace", "models-base") for manifest in example} == {"models-base"}
    assert example[0]["metadata"]["name"] == "models-base"
    assert _variables(example)["MONOBASE_PRUNE_OLD_GEN"] == "true"
    assert _variables(example)["MONOBASE_LOG_FORMAT"] == "json"
    assert _pod(example)["nodeSelector"] == {"kubernetes.io/os": "linux", "example.com/pool": "gpu"}
    assert _architectures(example) == list(ARCHITECTURES)
    assert [toleration["key"] for toleration in _pod(example)["tolerations"]] == [
        "nvidia.com/gpu",
        "example.com/pool",
    ]
    # maxSurge above 0 would let a second daemon wait for the first for ever.
    assert _daemon_set(example)["spec"]["updateStrategy"]["rollingUpdate"] == {
        "maxUnavailable": "10%",
        "maxSurge": 0,
    }


def test_the_container_has_no_power_that_it_can_do_without(base: list[dict[str, Any]]) -> None:
    context = _container(base)["securityContext"]
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert (context["allowPrivilegeEscalation"], context["readOnlyRootFilesystem"]) == (False, True)
    assert not {"hostNetwork", "hostPID", "hostIPC"} & _pod(base).keys()
    assert [list(volume) for volume in _pod(base)["volumes"]] == [["name", "hostPath"], ["name", "emptyDir"]]


def _component(tree: Path, name: str, **fields: Any) -> list[dict[str, Any]]:  # noqa: ANN401 (of any kustomization)
    return kustomize(
        overlay(tree / "overlay", "../base", {"components": [f"../components/{name}"], **fields})
    )


def _of_kind(manifests: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    (found,) = [manifest for manifest in manifests if manifest["kind"] == kind]
    return found


def _tolerates(toleration: dict[str, str], taint: dict[str, str]) -> bool:
    """Return whether a toleration matches a taint without a value."""
    matches = toleration["key"] == taint["key"] and toleration["operator"] == "Exists"
    return matches and toleration.get("effect", taint["effect"]) == taint["effect"]


@pytest.fixture
def detector(tree: Path) -> Path:
    """Write manifests with the form of Node Problem Detector's own, with the component."""
    container = {
        "name": "node-problem-detector",
        "image": "registry.example/node-problem-detector",
        "command": ["/node-problem-detector", "--config.system-log-monitor=/config/kernel-monitor.json"],
        "volumeMounts": [{"name": "log", "mountPath": "/var/log", "readOnly": True}],
    }
    pod = {"containers": [container], "volumes": [{"name": "log", "hostPath": {"path": "/var/log"}}]}
    labels = {"app": "node-problem-detector"}
    daemon_set = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": "node-problem-detector", "namespace": "kube-system"},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }
    (tree / "detector").mkdir()
    (tree / "detector" / "daemonset.yaml").write_text(yaml.safe_dump(daemon_set))
    (tree / "detector" / "kustomization.yaml").write_text(yaml.safe_dump({"resources": ["daemonset.yaml"]}))
    return overlay(tree / "overlay", "../detector", {"components": ["../components/node-problem-detector"]})


def test_kubernetes_accepts_a_pool_that_starts_with_a_taint(tree: Path) -> None:
    compared = validate(_component(tree, "startup-taint"))
    assert compared == [
        "Namespace/monobase",
        "ServiceAccount/monobase-daemon",
        "Service/monobase-daemon",
        "PriorityClass/monobase-daemon",
        "DaemonSet/monobase-daemon",
        "NodeReadinessRule/monobase-ready",
    ]


def test_the_daemon_tolerates_the_taint_that_only_its_readiness_removes(tree: Path) -> None:
    manifests = _component(tree, "startup-taint")
    taint = _of_kind(manifests, "NodeReadinessRule")["spec"]["taint"]
    tolerations = _pod(manifests)["tolerations"]
    assert any(_tolerates(toleration, taint) for toleration in tolerations)
    assert "nvidia.com/gpu" in [toleration["key"] for toleration in tolerations]


def test_the_example_of_a_tainted_pool_has_the_tolerations_of_both_overlays(tree: Path) -> None:
    manifests = kustomize(tree / "examples" / "tainted-pool")
    assert "NodeReadinessRule/monobase-ready" in validate(manifests)
    rule = _of_kind(manifests, "NodeReadinessRule")["spec"]
    tolerations = _pod(manifests)["tolerations"]
    assert any(_tolerates(toleration, rule["taint"]) for toleration in tolerations)
    assert "example.com/pool" in [toleration["key"] for toleration in tolerations]
    # Nodes with the rule and without a daemon would keep the taint for ever.
    assert rule["nodeSelector"]["matchLabels"].items() <= _pod(manifests)["nodeSelector"].items()


def test_the_service_reaches_the_daemon_of_the_same_node_ready_or_not(tree: Path) -> None:
    manifests = _component(tree, "startup-taint", namespace="elsewhere")
    service = _of_kind(manifests, "Service")
    daemon_set = _daemon_set(manifests)
    assert service["metadata"]["namespace"] == daemon_set["metadata"]["namespace"] == "elsewhere"
    spec = service["spec"]
    assert spec["selector"].items() <= daemon_set["spec"]["template"]["metadata"]["labels"].items()
    assert (spec["internalTrafficPolicy"], spec["publishNotReadyAddresses"]) == ("Local", True)
    (port,) = spec["ports"]
    assert port["targetPort"] in [item["name"] for item in _container(manifests)["ports"]]


def test_node_problem_detector_runs_the_plugin_that_the_component_mounts(detector: Path) -> None:
    manifests = kustomize(detector)
    assert validate(manifests)[-1] == "DaemonSet/node-problem-detector"
    config_map = _of_kind(manifests, "ConfigMap")
    (container,) = _pod(manifests)["containers"]
    (volume,) = [item for item in _pod(manifests)["volumes"] if item["name"] == "monobase-monitor"]
    (mount,) = [item for item in container["volumeMounts"] if item["name"] == "monobase-monitor"]
    # With the hash that kustomize adds, in the namespace of the detector.
    assert volume["configMap"]["name"] == config_map["metadata"]["name"] != "monobase-monitor"
    assert config_map["metadata"]["namespace"] == "kube-system"
    *others, option = container["command"]
    assert others == ["/node-problem-detector", "--config.system-log-monitor=/config/kernel-monitor.json"]
    assert option == f"--config.custom-plugin-monitor={mount['mountPath']}/monobase-monitor.json"
    (rule,) = json.loads(config_map["data"]["monobase-monitor.json"])["rules"]
    directory, _, name = rule["args"][0].rpartition("/")
    assert (directory, config_map["data"][name][:10]) == (mount["mountPath"], "#!/bin/sh\n")


def test_condition_plugin_and_rule_have_the_same_sense(tree: Path) -> None:
    manifests = _component(tree, "startup-taint")
    component = tree / "components" / "node-problem-detector"
    monitor = json.loads((component / "monobase-monitor.json").read_text())
    (condition,) = monitor["conditions"]
    (rule,) = monitor["rules"]
    (required,) = _of_kind(manifests, "NodeReadinessRule")["spec"]["conditions"]
    assert rule["type"] == "permanent"
    assert rule["condition"] == condition["type"] == required["type"] == "MonobaseReady"
    # Exit code 1 is True (monobase_ready_test.py), and False is what the detector starts with: not ready.
    assert required["requiredStatus"] == "True"
    assert condition["reason"] != rule["reason"]
    # A condition that is True is not a problem, which is what the detector's metrics would count.
    assert monitor["metricsReporting"] is False
    service = _of_kind(manifests, "Service")
    host = f"{service['metadata']['name']}.{service['metadata']['namespace']}.svc"
    assert rule["args"][1] == f"http://{host}:{service['spec']['ports'][0]['port']}/readyz"
