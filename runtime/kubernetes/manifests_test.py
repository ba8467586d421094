"""The example model: valid for Kubernetes, and of a combination that there is."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from gens.catalog import load_catalog
from gens.generation import Environment, Generation
from gens.label import LABEL_PREFIX, label_name
from tools.deploy.base import Image, pinned, read_base
from tools.deploy.kustomize import kustomize, overlay, validate
from tools.deploy.render import main
from tools.deploy.server_changes import server_changes

HERE = Path(__file__).parent
EXEC = HERE.parent / "exec"
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
    return {entry["name"]: entry.get("value", "") for entry in pod["spec"]["containers"][0]["env"]}


def _generation(pod: dict[str, Any]) -> Generation:
    return load_catalog().generation(int(_variables(pod)["MONOBASE_GEN_ID"]))


def test_kubernetes_accepts_the_model(tree: Path) -> None:
    assert validate(kustomize(tree / "model")) == ["Pod/model"]


def test_kubernetes_accepts_the_model_with_both_components(
    tree: Path, pod: dict[str, Any], tmp_path: Path
) -> None:
    components = {"components": ["../components/gpu", "../components/ready-node"]}
    manifests = kustomize(overlay(tree / "overlay", "../model", components))
    assert validate(manifests) == ["Pod/model"]
    spec = manifests[0]["spec"]
    assert spec["containers"][0]["resources"]["limits"] == {"nvidia.com/gpu": "1"}
    (daemon_set,) = [item for item in read_base(DAEMON).manifests if item["kind"] == "DaemonSet"]
    assert spec["affinity"] == daemon_set["spec"]["template"]["spec"]["affinity"]
    (environment,) = set(_environments(pod, tmp_path))
    assert spec["nodeSelector"] == {
        **daemon_set["spec"]["template"]["spec"]["nodeSelector"],
        f"{LABEL_PREFIX}/{label_name(_generation(pod).directory_name, environment)}": "true",
    }


def test_a_model_shares_compiled_code_in_the_folder_that_the_daemon_keeps(tree: Path) -> None:
    (pod,) = kustomize(overlay(tree / "overlay", "../model", {"components": ["../components/compile-cache"]}))
    assert validate([pod]) == ["Pod/model"]
    (container,) = pod["spec"]["containers"]
    (volume,) = [volume for volume in pod["spec"]["volumes"] if volume["name"] == "compile-cache"]
    (mount,) = [mount for mount in container["volumeMounts"] if mount["name"] == "compile-cache"]
    folder = _variables(pod)["MONOBASE_COMPILE_CACHE"]
    assert (volume["hostPath"]["path"], mount["mountPath"]) == (folder, folder)
    component = yaml.safe_load((DAEMON.parent / "components/compile-cache/daemonset.yaml").read_text())
    (daemon,) = component["spec"]["template"]["spec"]["containers"]
    assert {"name": "MONOBASE_COMPILE_CACHE", "value": folder} in daemon["env"]


def _line(environment: Environment) -> str:
    """Return the line of a node's list of environments (daemon/README.md), before any of it is installed."""
    kind = "environment" if environment.stack is None else "stack"
    versions = [environment.torch, environment.build, environment.cuda]
    versions += [] if environment.stack is None else [environment.stack, environment.stack_version]
    fields = [kind, environment.name, "missing", environment.python, f"{environment.python}.1"]
    return " ".join([*fields, *(version or "-" for version in versions)])


def _environments(pod: dict[str, Any], prefix: Path) -> list[str]:
    """Return the environment that a pod's variables name to the runtime, on a node of each machine.

    Raises:
        AssertionError: The runtime refuses the variables.
    """
    generation, found = _generation(pod), []
    for machine in generation.machines:
        folder = prefix / machine / "monobase" / generation.directory_name
        folder.mkdir(parents=True)
        lines = ["monobase-environments 1", f"generation {generation.directory_name} partial"]
        lines += [_line(environment) for environment in generation.for_machine(machine).environments]
        (folder / "environments").write_text("".join(f"{line}\n" for line in lines))
        # It says which one is missing: without a driver to look at, and without waiting.
        variables = {
            **_variables(pod), "PATH": os.defpath, "MONOBASE_PREFIX": str(prefix / machine),
            "MONOBASE_WAIT_S": "0", "MONOBASE_FIT": "off",
        }  # fmt: skip
        done = subprocess.run(
            ["/bin/sh", EXEC, "true"],
            env=variables, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == 75, done.stderr
        found.append(done.stderr.split()[2])
    return found


def test_the_generation_has_the_environment_that_the_variables_name(
    pod: dict[str, Any], tmp_path: Path
) -> None:
    assert set(_environments(pod, tmp_path)) == {"python3.12-torch2.13.0-cu130"}


def _render(tree: Path, *arguments: str) -> dict[str, Any]:
    path = tree / "model" / "kustomization.yaml"
    path.write_text(pinned(path.read_text(), [Image("monobase-runtime", f"sha256:{'0' * 64}")]))
    result = CliRunner().invoke(main, [str(tree / "model"), "--registry", "registry.example", *arguments])
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = yaml.safe_load(result.output)
    return found


def _by_command(tree: Path) -> dict[str, Any]:
    empty = ["--env", "TORCH_VERSION=", "--env", "CUDA_VERSION="]
    return _render(tree, "--env", "MONOBASE_STACK=vllm", *empty)


def _by_component(tree: Path) -> dict[str, Any]:
    components = {"components": ["../components/stack"]}
    (found,) = kustomize(overlay(tree / "overlay", "../model", components))
    return found


def _by_hand(tree: Path) -> dict[str, Any]:
    """Merge the component's variables as kustomize does, which is not installed everywhere."""
    (found,) = read_base(tree / "model").manifests
    patch = yaml.safe_load((tree / "components" / "stack" / "model.yaml").read_text())
    changed = patch["spec"]["containers"][0]["env"]
    removed = {entry["name"] for entry in changed if entry.get("$patch") == "delete"}
    merged = _variables(found) | _variables(patch)
    entries = [{"name": name, "value": value} for name, value in merged.items() if name not in removed]
    found["spec"]["containers"][0]["env"] = entries
    return found


@pytest.mark.parametrize("with_a_stack", [_by_command, _by_component, _by_hand])
def test_with_a_stack_the_variables_name_an_environment_as_well(
    tree: Path, tmp_path: Path, with_a_stack: Callable[[Path], dict[str, Any]]
) -> None:
    pod = with_a_stack(tree)

    assert validate([pod]) == ["Pod/model"]
    assert set(_environments(pod, tmp_path / "prefix")) == {"python3.12-vllm0.33.0"}


# What an image of `weightless_model` says: another environment than the example's pod.
IMAGE = {
    "MONOBASE_GEN_ID": "3", "PYTHON_VERSION": "3.11", "TORCH_VERSION": "2.14.1+cu130", "MONOBASE_LEASE": "1",
    "MONOBASE_USER_VENV": "",
}  # fmt: skip


def _started(pod: dict[str, Any]) -> dict[str, Any]:
    """Return a pod with the variables of its process: the image's, and the pod's in their place."""
    merged = IMAGE | _variables(pod)
    pod["spec"]["containers"][0]["env"] = [{"name": name, "value": merged[name]} for name in merged]
    return pod


def test_the_variables_of_the_example_win_over_those_of_an_image(pod: dict[str, Any], tmp_path: Path) -> None:
    assert set(_environments(_started(pod), tmp_path)) == {"python3.12-torch2.13.0-cu130"}


def test_with_an_image_of_its_own_a_pod_says_nothing_that_the_image_says(tree: Path, tmp_path: Path) -> None:
    image = {"name": "monobase-runtime", "newName": "registry.example/team/diffusion", "newTag": "v1"}
    fields = {"components": ["../components/own-image"], "images": [image]}
    (pod,) = kustomize(overlay(tree / "overlay", "../model", fields))

    assert validate([pod]) == ["Pod/model"]
    (container,) = pod["spec"]["containers"]
    assert container["image"] == "registry.example/team/diffusion:v1"
    assert "args" not in container
    assert sorted(_variables(pod).keys() & {*IMAGE, "CUDA_VERSION", "CUDNN_VERSION", "MONOBASE_STACK"}) == []
    assert _variables(pod)["HOME"] == "/tmp"  # noqa: S108 (a read-only root)
    assert set(_environments(_started(pod), tmp_path)) == {"python3.11-torch2.14.1-cu130"}


@pytest.mark.parametrize(
    "components",
    [
        [],
        ["gpu"],
        ["ready-node"],
        ["stack"],
        ["own-image"],
        ["compile-cache"],
        ["gpu", "ready-node", "stack"],
        ["own-image", "gpu"],
    ],
)
def test_the_api_server_keeps_each_field_so_that_a_second_apply_says_unchanged(
    tree: Path, components: list[str]
) -> None:
    fields = {"components": [f"../components/{name}" for name in components]} if components else {}
    (found,) = kustomize(overlay(tree / "overlay", "../model", fields))
    assert server_changes(found) == []


def test_a_variable_without_a_value_is_rendered_as_the_api_server_keeps_it(tree: Path) -> None:
    pod = _by_command(tree)
    assert server_changes(pod) == []
    assert {"name": "TORCH_VERSION"} in pod["spec"]["containers"][0]["env"]


def test_the_end_of_the_log_is_where_people_look_when_a_model_fails(pod: dict[str, Any]) -> None:
    assert pod["spec"]["containers"][0]["terminationMessagePolicy"] == "FallbackToLogsOnError"


def test_a_stack_beside_the_torch_of_the_example_is_refused(tree: Path, tmp_path: Path) -> None:
    pod = _render(tree, "--env", "MONOBASE_STACK=vllm")

    with pytest.raises(AssertionError, match=r"A stack brings its own Torch: unset TORCH_VERSION\."):
        _environments(pod, tmp_path / "prefix")


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
