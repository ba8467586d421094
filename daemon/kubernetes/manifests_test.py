"""The manifests of the daemon: valid for Kubernetes, and true of the daemon that they run."""

import os
import shutil
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

HERE = Path(__file__).parent
IMAGE = HERE / "sample_image"
KINDS = ["Namespace", "ServiceAccount", "DaemonSet"]
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
    return {entry["name"]: entry["value"] for entry in _container(manifests)["env"]}


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
    assert [manifest["kind"] for manifest in example] == [*KINDS, "PodMonitor"]


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
    probes = [_container(base)[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")]
    assert probes == [{"path": path, "port": port["name"]} for path in ("/healthz", "/healthz", "/readyz")]
    annotations = _daemon_set(base)["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == str(port["containerPort"])


def test_a_pod_monitor_takes_the_place_of_the_annotations(tree: Path) -> None:
    manifests = kustomize(overlay(tree / "overlay", "../base", {"components": ["../components/pod-monitor"]}))
    daemon_set = _daemon_set(manifests)
    assert not daemon_set["spec"]["template"]["metadata"].get("annotations")
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
