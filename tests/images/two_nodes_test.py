"""Two nodes with different selections: the daemon's and the runtime's images, played from their manifests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from image.oci.layout import Layout
from tests.images.cluster import DAEMON_BASE, MODEL, MODEL_BASE, Cluster, node_of_a_cluster, pod_of, secret
from tests.images.engine import engine
from tests.images.layouts import daemon_layout, runtime_layout
from tests.images.release import write_release
from tests.index.interpreter_archive import interpreter_mirror
from tests.index.server import LocalIndex
from tests.index.wheel import WheelSpec
from tests.registry.local_registry import free_port
from tests.synthetic.catalog import PYTHON, environment_cell
from tools.deploy.base import Manifest

pytest_plugins = ["tests.index.fixture"]

_OLD, _NEW = "2.4.1", "2.5.1"
_FEATURES = "/etc/kubernetes/node-feature-discovery/features.d"
_LABEL = "feature.node.kubernetes.io/monobase-"


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[tuple[Cluster, Cluster]]:
    """Make two nodes, each with a podman and a prefix of its own, and one registry."""
    with node_of_a_cluster(tmp_path) as first, engine() as podman:
        directory = podman.directory / "node"
        directory.mkdir()
        yield first, Cluster(podman, first.registry, directory, free_port())


def _with_features(manifests: list[Manifest], folder: Path) -> list[Manifest]:
    """Mount a folder of the node in the daemon, as the component for node-feature-discovery does."""
    daemon = next(manifest for manifest in manifests if manifest["kind"] == "DaemonSet")
    pod = daemon["spec"]["template"]["spec"]
    pod["volumes"].append({"name": "features", "hostPath": {"path": str(folder)}})
    pod["containers"][0]["volumeMounts"].append({"name": "features", "mountPath": _FEATURES})
    return manifests


def _labels(folder: Path) -> set[str]:
    file = folder / "monobase"
    text = file.read_text() if file.exists() else ""
    return {line.removeprefix(_LABEL) for line in text.splitlines()}


def _environment(torch: str) -> str:
    return f"python{PYTHON}-torch{torch}-cpu"


def _play_daemon(node: Cluster, torch: str, layout: Layout, source: Manifest) -> None:
    variables = {
        "MONOBASE_PREFIX": str(node.prefix), "MONOBASE_LISTEN": f"127.0.0.1:{node.port}",
        "MONOBASE_MIN_GEN_ID": "0", "MONOBASE_CHECK_INTERVAL": "0.5",
        "MONOBASE_ONLY": f"*-torch{torch}-*", "MONOBASE_FEATURES_DIR": _FEATURES,
    }  # fmt: skip
    features = node.directory / "features"
    features.mkdir()
    rendered = node.manifests(DAEMON_BASE, "monobase-daemon", layout, variables)
    node.play([source, *_with_features(rendered, features)])


def _check_daemon(node: Cluster, torch: str) -> None:
    expected = {"ready=true", "latest=g00000", f"g00000.{_environment(torch)}=true"}
    node.wait(lambda: _labels(node.directory / "features") == expected)
    assert node.ready()
    assert node.readiness()["selection"] == f"--only *-torch{torch}-*"
    assert (node.prefix / "monobase/latest").readlink() == Path("g00000")


def _ask(node: Cluster, torch: str) -> tuple[str, str]:
    """Run the model that prints its Torch; return its exit code and its log."""
    variables = {
        "MONOBASE_PREFIX": str(node.prefix), "MONOBASE_GEN_ID": "0", "MONOBASE_WAIT_S": "600",
        "PYTHON_VERSION": PYTHON, "TORCH_VERSION": torch, "CUDA_VERSION": "",
    }  # fmt: skip
    model = node.manifests(MODEL_BASE, "monobase-runtime", runtime_layout(), variables)
    pod_of(model)["spec"]["containers"][0]["args"] = ["python", "-c", "import torch; print(torch.NAME)"]
    node.play(model)
    code = node.engine.run("wait", MODEL).stdout.strip()
    said = node.logs(MODEL)
    node.stop(model)
    return code, said


def test_two_nodes_say_what_each_holds_and_a_model_on_the_wrong_one_is_told_where_to_go(
    nodes: tuple[Cluster, Cluster], local_index: LocalIndex, tmp_path: Path
) -> None:
    cells = []
    for torch in (_OLD, _NEW):
        files = {"torch/__init__.py": f"NAME = 'torch {torch}'\n".encode()}
        cells.append(environment_cell([local_index.add(WheelSpec("torch", torch, files=files))], torch=torch))
    layout = write_release(daemon_layout(), {0: cells}, tmp_path / "release")
    nodes[0].push(layout, "monobase-daemon", "v1")
    nodes[0].push(runtime_layout(), "monobase-runtime", "v1")
    held = list(zip(nodes, (_OLD, _NEW), strict=True))
    with interpreter_mirror(tmp_path / "interpreters") as mirror:
        urls = {"UV_DEFAULT_INDEX": local_index.url(), "UV_PYTHON_DOWNLOADS_JSON_URL": mirror.list_url}
        for node, torch in held:
            _play_daemon(node, torch, layout, secret("monobase-index", urls))
        for node, torch in held:
            _check_daemon(node, torch)
        assert [_ask(node, torch) for node, torch in held] == [
            ("0", f"torch {_OLD}\n"),
            ("0", f"torch {_NEW}\n"),
        ]
        code, said = _ask(nodes[1], _OLD)
    assert code == "69", said
    assert "is left out on this node by its selection: --only *-torch2.5.1-*" in said
    assert f"monobase-g00000.{_environment(_OLD)}=true" in said
