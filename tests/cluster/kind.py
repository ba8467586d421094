"""A cluster of kind (Kubernetes in Docker) with a registry beside it, for as long as a run takes."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import yaml

NAME = "monobase-conformance"
_REGISTRY = f"{NAME}-registry"
_REGISTRY_IMAGE = "docker.io/library/registry:2"
_REGISTRY_PORT = 5000
_NETWORK = "kind"
# In the order in which kind itself looks for them, and the variable by which a user names one to it.
_ENGINES = ("docker", "nerdctl", "podman")
_PROVIDER = "KIND_EXPERIMENTAL_PROVIDER"
# Where containerd looks for the addresses of a registry, by its name.
_HOSTS = "/etc/containerd/certs.d"

Run = Callable[[Sequence[str], str], str]


class KindError(Exception):
    """A program that makes the cluster is missing, or failed."""


def find_engine() -> str:
    """Return the container engine that kind uses: the one of its variable, or the first that is installed.

    Raises:
        KindError: There is none, or kind is not installed.
    """
    if shutil.which("kind") is None:
        raise KindError("kind is not installed; install it, or name a cluster: bazel run //tests/cluster")
    named = os.environ.get(_PROVIDER)
    if named and (named not in _ENGINES or shutil.which(named) is None):
        raise KindError(f"{_PROVIDER}={named}: is not one of {', '.join(_ENGINES)}, or not installed")
    found = named or next((name for name in _ENGINES if shutil.which(name)), None)
    if found is None:
        raise KindError(f"kind needs one of {', '.join(_ENGINES)}, and none is installed")
    return found


def run_program(command: Sequence[str], text: str = "") -> str:
    """Run a program, show its messages, and return what it prints.

    Args:
        command: The program and its arguments.
        text: Its standard input.

    Raises:
        KindError: It failed.
    """
    # kind must use the engine that makes the registry.
    engine = {_PROVIDER: find_engine()} if command[0] == "kind" else {}
    done = subprocess.run(
        command, env={**os.environ, **engine}, input=text, stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode:
        raise KindError(f"{' '.join(command)} failed with {done.returncode}; its messages stand above")
    return done.stdout


@contextmanager
def kind_cluster(
    engine: str, workers: int, scratch: Path, run: Run = run_program
) -> Iterator[tuple[Path, str]]:
    """Make a cluster and a registry that its nodes pull from, and remove both.

    Args:
        engine: The container engine.
        workers: Number of its nodes beside the control plane.
        scratch: Folder for the kubeconfig.
        run: Runs a program.

    Yields:
        The kubeconfig, and the registry as this machine and the nodes name it.

    Raises:
        KindError: It cannot be made, or there is one of this name.
    """
    kubeconfig = scratch / "kubeconfig"
    if NAME in run(["kind", "get", "clusters"], "").split():
        raise KindError(f"there is a cluster {NAME} of an earlier run: kind delete cluster --name {NAME}")
    if _REGISTRY in run([engine, "ps", "--all", "--format", "{{.Names}}"], "").split():
        raise KindError(f"there is a registry of an earlier run: {engine} rm --force --volumes {_REGISTRY}")
    try:
        run(["kind", "create", "cluster", "--name", NAME, "--kubeconfig", str(kubeconfig), "--wait", "5m",
             "--config", "-"], _configuration(workers))  # fmt: skip
        run([engine, "run", "--detach", "--name", _REGISTRY, "--network", _NETWORK,
             "--publish", f"127.0.0.1::{_REGISTRY_PORT}", _REGISTRY_IMAGE], "")  # fmt: skip
        port = run([engine, "port", _REGISTRY, f"{_REGISTRY_PORT}/tcp"], "").split()[0].rpartition(":")[2]
        registry = f"localhost:{port}"
        for node in run(["kind", "get", "nodes", "--name", NAME], "").split():
            _name_registry(run, engine, node, registry)
        yield kubeconfig, registry
    finally:
        try:
            run(["kind", "delete", "cluster", "--name", NAME, "--kubeconfig", str(kubeconfig)], "")
        finally:
            run([engine, "rm", "--force", "--volumes", _REGISTRY], "")


def _configuration(workers: int) -> str:
    patch = f'[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "{_HOSTS}"\n'
    roles = [{"role": "control-plane"}, *({"role": "worker"} for _ in range(workers))]
    return yaml.safe_dump(
        {
            "kind": "Cluster",
            "apiVersion": "kind.x-k8s.io/v1alpha4",
            "containerdConfigPatches": [patch],
            "nodes": roles,
        }
    )


def _name_registry(run: Run, engine: str, node: str, registry: str) -> None:
    """Name the registry in a node: this machine knows it by a port of its own."""
    folder = f"{_HOSTS}/{registry}"
    address = f'[host."http://{_REGISTRY}:{_REGISTRY_PORT}"]\n'
    script = 'mkdir -p "$1" && cat > "$1/hosts.toml"'
    run([engine, "exec", "--interactive", node, "sh", "-c", script, "sh", folder], address)
