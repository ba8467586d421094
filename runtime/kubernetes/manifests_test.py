"""The example model: valid for Kubernetes, and of a combination that there is."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from gens.catalog import load_catalog
from gens.generation import Generation
from tools.deploy.base import read_base
from tools.deploy.kustomize import kustomize, overlay, validate

HERE = Path(__file__).parent
DAEMON = HERE.parent.parent / "daemon" / "kubernetes" / "base"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Copy the manifests, which Bazel gives as links: kustomize follows none out of its folder."""
    for name in ("model", "components"):
        shutil.copytree(HERE / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def pod() -> dict[str, Any]:
    (found,) = read_base(HERE / "model").manifests
    return found


def _variables(pod: dict[str, Any]) -> dict[str, str]:
    return {entry["name"]: entry["value"] for entry in pod["spec"]["containers"][0]["env"]}


def _generation(pod: dict[str, Any]) -> Generation:
    return load_catalog().generation(int(_variables(pod)["MONOBASE_GEN_ID"]))


def test_kubernetes_accepts_the_model(tree: Path) -> None:
    assert validate(kustomize(tree / "model")) == ["Pod/model"]


def test_kubernetes_accepts_the_model_with_both_components(tree: Path, pod: dict[str, Any]) -> None:
    components = {"components": ["../components/gpu", "../components/ready-node"]}
    manifests = kustomize(overlay(tree / "overlay", "../model", components))
    assert validate(manifests) == ["Pod/model"]
    spec = manifests[0]["spec"]
    assert spec["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu": "1"}
    (daemon_set,) = [item for item in read_base(DAEMON).manifests if item["kind"] == "DaemonSet"]
    assert spec["affinity"] == daemon_set["spec"]["template"]["spec"]["affinity"]
    assert spec["nodeSelector"] == {
        **daemon_set["spec"]["template"]["spec"]["nodeSelector"],
        f"feature.node.kubernetes.io/monobase-{_generation(pod).directory_name}": "true",
    }


def test_the_generation_has_the_environment_that_the_variables_name(pod: dict[str, Any]) -> None:
    variables = _variables(pod)
    build = "cu" + variables["CUDA_VERSION"].replace(".", "")
    name = f"python{variables['PYTHON_VERSION']}-torch{variables['TORCH_VERSION']}-{build}"
    assert name in {target.name for target in _generation(pod).targets}


def test_the_prefix_is_mounted_read_only_at_the_daemons_path(pod: dict[str, Any]) -> None:
    (daemon_set,) = [item for item in read_base(DAEMON).manifests if item["kind"] == "DaemonSet"]
    spec = daemon_set["spec"]["template"]["spec"]
    (path,) = [volume["hostPath"]["path"] for volume in spec["volumes"] if "hostPath" in volume]
    (volume,) = [volume for volume in pod["spec"]["volumes"] if "hostPath" in volume]
    (mount,) = [
        mount for mount in pod["spec"]["containers"][0]["volumeMounts"] if mount["name"] == volume["name"]
    ]
    assert volume["hostPath"] == {"path": path, "type": "Directory"}
    assert mount == {"name": volume["name"], "mountPath": path, "readOnly": True}


def test_model_and_daemon_share_no_name_of_a_volume_but_the_prefix(pod: dict[str, Any]) -> None:
    # podman makes of a name one volume of the machine, whatever pod it is of.
    (daemon_set,) = [item for item in read_base(DAEMON).manifests if item["kind"] == "DaemonSet"]
    names = {volume["name"] for volume in daemon_set["spec"]["template"]["spec"]["volumes"]}
    assert names & {volume["name"] for volume in pod["spec"]["volumes"]} == {"monobase"}


def test_the_runtime_reads_each_variable(pod: dict[str, Any]) -> None:
    script = (HERE.parent / "activate.sh").read_text()
    # HOME is for the model's libraries; the image sets the lease, and its entrypoint takes it.
    names = _variables(pod).keys() - {"HOME"}
    assert sorted(name for name in names if name not in script) == []


def test_the_pod_meets_the_restricted_level_but_for_its_volume(pod: dict[str, Any]) -> None:
    # https://kubernetes.io/docs/concepts/security/pod-security-standards/
    spec = pod["spec"]
    context = spec["containers"][0]["securityContext"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert context["capabilities"] == {"drop": ["ALL"]}
    assert context["allowPrivilegeEscalation"] is False
    assert "initContainers" not in spec
