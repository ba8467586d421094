"""kubectl itself with the manifests: what it prints for an apply, and that its kustomize is the same."""

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.program import kubectl_program
from tests.cluster.scripted_api import Cluster, scripted_api
from tools.deploy.kustomize import kustomize

MANIFESTS = Path(__file__).parent.parent.parent / "daemon" / "kubernetes"


def _kubectl(tmp_path: Path, *arguments: str, text: str = "") -> str:
    done = subprocess.run(
        [kubectl_program(), *arguments],
        env={"HOME": str(tmp_path), "KUBECONFIG": str(tmp_path / "kubeconfig")},
        input=text, capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Copy the manifests, which Bazel gives as links: kustomize follows none out of its folder."""
    for name in ("base", "components", "examples"):
        shutil.copytree(MANIFESTS / name, tmp_path / name)
    return tmp_path


def _applied(tmp_path: Path, manifests: list[dict[str, Any]]) -> list[str]:
    """Apply objects twice, client-side; return what kubectl says the second time."""
    text = yaml.safe_dump_all(manifests)
    with scripted_api(Cluster()) as kubeconfig:
        (tmp_path / "kubeconfig").write_text(kubeconfig)
        for _ in range(2):
            said = _kubectl(tmp_path, "apply", "--validate=ignore", "--filename=-", text=text)
    return [line.rpartition(" ")[2] for line in said.splitlines()]


def test_a_second_client_side_apply_says_unchanged(tree: Path, tmp_path: Path) -> None:
    manifests = kustomize(tree / "base")
    assert _applied(tmp_path, manifests) == ["unchanged"] * len(manifests)


def test_a_field_that_the_server_drops_would_say_configured(tree: Path, tmp_path: Path) -> None:
    # What the other test rests on.
    manifests = kustomize(tree / "base")
    (container,) = manifests[-1]["spec"]["template"]["spec"]["containers"]
    container["env"].append({"name": "MONOBASE_MAX_GEN_ID", "value": ""})
    *others, daemon_set = _applied(tmp_path, manifests)
    assert (set(others), daemon_set) == ({"unchanged"}, "configured")


def test_kubectl_accepts_the_base_as_a_dry_run(tree: Path, tmp_path: Path) -> None:
    with scripted_api(Cluster()) as kubeconfig:
        (tmp_path / "kubeconfig").write_text(kubeconfig)
        options = ["--dry-run=client", "--validate=ignore", f"--kustomize={tree / 'base'}"]
        said = _kubectl(tmp_path, "apply", *options)
    assert said.splitlines() == [
        "namespace/monobase created (dry run)",
        "serviceaccount/monobase-daemon created (dry run)",
        "priorityclass.scheduling.k8s.io/monobase-daemon created (dry run)",
        "daemonset.apps/monobase-daemon created (dry run)",
    ]


@pytest.mark.parametrize("name", ["base", "examples/gpu-pool", "examples/tainted-pool"])
def test_kubectl_renders_what_kustomize_renders(tree: Path, tmp_path: Path, name: str) -> None:
    said = _kubectl(tmp_path, "kustomize", str(tree / name))
    assert list(yaml.safe_load_all(said)) == kustomize(tree / name)
