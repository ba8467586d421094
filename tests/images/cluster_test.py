"""The way of the README: push, pull, a DaemonSet, a model that imports, the next generation, pruning."""

import os
import shlex
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from image.oci.layout import Layout
from tests.images.cluster import (
    DAEMON,
    DAEMON_BASE,
    MODEL,
    MODEL_BASE,
    Cluster,
    node_of_a_cluster,
    pod_of,
    secret,
)
from tests.images.layouts import daemon_layout, runtime_layout
from tests.images.release import write_release
from tests.index.interpreter_archive import interpreter_mirror
from tests.index.server import LocalIndex
from tests.index.wheel import Wheel, WheelSpec
from tests.synthetic.catalog import PYTHON, Cell, environment_cell
from tools.deploy.base import Manifest
from tools.deploy.rendering import to_yaml

pytest_plugins = ["tests.index.fixture"]

# It imports again and again, as long as it runs, from files that it opens again each time.
_SERVE = """\
import importlib, sys, time, torch
count = 0
while True:
    importlib.reload(torch)
    count += 1
    print(torch.__version__, torch.cuda.is_available(), count, flush=True)
    time.sleep(0.05)
"""


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with node_of_a_cluster(tmp_path) as found:
        yield found


def _torch(index: LocalIndex, version: str) -> Wheel:
    files = {
        "torch/__init__.py": f"from . import cuda\n__version__ = {version!r}\n".encode(),
        "torch/cuda.py": b"def is_available():\n    return False\n",
        "torch/data.bin": os.urandom(200_000),
    }
    return index.add(WheelSpec("torch", version, files=files))


def _generation(index: LocalIndex, version: str) -> list[Cell]:
    shared = index.add(
        WheelSpec("shared", "1.0", files={"shared.py": b"x = 1\n", "shared.bin": b"1" * 100_000})
    )
    return [environment_cell([shared]), environment_cell([shared, _torch(index, version)], torch=version)]


def _variables(cluster: Cluster, generation: int, torch: str) -> dict[str, str]:
    return {
        "MONOBASE_PREFIX": str(cluster.prefix), "MONOBASE_GEN_ID": str(generation),
        "PYTHON_VERSION": PYTHON, "TORCH_VERSION": torch, "CUDA_VERSION": "",
    }  # fmt: skip


def _serving(manifests: list[Manifest]) -> list[Manifest]:
    container = pod_of(manifests)["spec"]["containers"][0]
    container["args"] = ["python", "-c", _SERVE]
    return manifests


def _push_two_releases(cluster: Cluster, old: Layout, new: Layout) -> None:
    """Push a daemon and its next release: only its own small layer goes over the wire."""
    cluster.push(old, "monobase-daemon", "v1")
    said = cluster.push(new, "monobase-daemon", "v2")
    assert "pushed 2 blobs" in said
    assert f"skipped {len(daemon_layout().layers)} that were there" in said


def test_from_a_push_to_a_model_that_stays_while_the_node_moves_on(
    cluster: Cluster, local_index: LocalIndex, tmp_path: Path
) -> None:
    first, second = _generation(local_index, "2.4.1"), _generation(local_index, "2.5.1")
    old = write_release(daemon_layout(), {0: first}, tmp_path / "old")
    new = write_release(daemon_layout(), {0: first, 1: second}, tmp_path / "new")
    runtime = runtime_layout()

    cluster.push(runtime, "monobase-runtime", "v1")
    _push_two_releases(cluster, old, new)

    with interpreter_mirror(tmp_path / "interpreters") as mirror:
        credentials = secret(
            "monobase-index",
            {"UV_DEFAULT_INDEX": local_index.url(), "UV_PYTHON_DOWNLOADS_JSON_URL": mirror.list_url},
        )
        common = {
            "MONOBASE_PREFIX": str(cluster.prefix), "MONOBASE_LISTEN": f"127.0.0.1:{cluster.port}",
            "MONOBASE_CHECK_INTERVAL": "0.5", "MONOBASE_SCAN_INTERVAL": "1",
        }  # fmt: skip

        def daemon(layout: Layout, minimum: int, *, prune: bool = False) -> list[Manifest]:
            chosen = {"MONOBASE_MIN_GEN_ID": str(minimum), "MONOBASE_PRUNE_OLD_GEN": str(prune).lower()}
            rendered = cluster.manifests(DAEMON_BASE, "monobase-daemon", layout, common | chosen)
            return [credentials, *rendered]

        # The DaemonSet installs generation 0, with an interpreter that uv downloads, and gets ready.
        playing = daemon(old, 0)
        cluster.play(playing)
        cluster.wait(cluster.ready)
        assert (cluster.prefix / "monobase/g00000/.done").exists()
        assert list((cluster.prefix / "uv/python").glob("cpython-*/bin/python3*"))

        # The example model says what it has; another one serves.
        example = cluster.manifests(MODEL_BASE, "monobase-runtime", runtime, _variables(cluster, 0, "2.4.1"))
        cluster.play(example)
        cluster.wait(lambda: "2.4.1 False" in cluster.logs(MODEL), MODEL)
        cluster.stop(example)
        model = _serving(example)
        cluster.play(model)
        cluster.wait(lambda: "2.4.1 False 3" in cluster.logs(MODEL), MODEL)

        # A rolling update: the old pod ends, one with a generation more begins; the model does not notice.
        before = len(cluster.logs(MODEL).splitlines())
        assert cluster.terminate(DAEMON) == 0
        assert '"ended"' in cluster.logs(DAEMON).splitlines()[-1]
        cluster.stop(playing)
        playing = daemon(new, 0)
        cluster.play(playing)
        cluster.wait(lambda: cluster.ready() and (cluster.prefix / "monobase/g00001/.done").exists())
        assert (cluster.prefix / "monobase/latest").readlink() == Path("g00001")
        cluster.wait(lambda: len(cluster.logs(MODEL).splitlines()) > before + 3, MODEL)

        # Pruning keeps what the model has leased, and names it; when the model has gone, so does that.
        cluster.stop(playing)
        playing = daemon(new, 1, prune=True)
        cluster.play(playing)
        cluster.wait(lambda: "a model has leased it" in cluster.logs(DAEMON))
        assert cluster.ready()
        before = len(cluster.logs(MODEL).splitlines())
        cluster.wait(lambda: len(cluster.logs(MODEL).splitlines()) > before + 3, MODEL)
        assert "Traceback" not in cluster.logs(MODEL)
        cluster.stop(model)
        cluster.wait(lambda: not (cluster.prefix / "monobase/g00000").exists())
        assert cluster.ready()

        # The next model takes what is there now.
        latest = _variables(cluster, 1, "2.5.1")
        cluster.play(cluster.manifests(MODEL_BASE, "monobase-runtime", runtime, latest))
        cluster.wait(lambda: "2.5.1 False" in cluster.logs(MODEL), MODEL)
        cluster.stop(playing)


def test_podman_plays_the_daemon_s_manifest_as_it_is(cluster: Cluster, tmp_path: Path) -> None:
    """Nothing is changed but where the image is; without a network, it installs no real generation."""
    cluster.push(daemon_layout(), "monobase-daemon", "v1")
    manifests = cluster.manifests(DAEMON_BASE, "monobase-daemon", daemon_layout(), {})
    file = tmp_path / "daemon.yaml"
    file.write_text(to_yaml(manifests))
    container = manifests[-1]["spec"]["template"]["spec"]["containers"][0]
    cluster.engine.pull(container["image"])
    readiness = shlex.join(container["readinessProbe"]["exec"]["command"])
    podman = " ".join(cluster.engine.command())
    # /srv of this machine may be a node's: the containers get one of their own.
    script = f"""
    set -e
    mount -t tmpfs none /srv
    {podman} kube play --network none {file} >&2
    curl='curl --silent --max-time 10 --write-out %{{http_code}}\\n'
    for _ in $(seq 120); do
        {podman} exec {DAEMON} $curl --output /dev/null localhost:8080/healthz | grep -q 200 && break
        sleep 0.5
    done
    {podman} exec {DAEMON} $curl --output /dev/null localhost:8080/healthz
    code=0; {podman} exec {DAEMON} {readiness} 2>&1 || code=$?; echo "readiness: $code"
    {podman} exec {DAEMON} sh -c 'grep -E "CapEff|NoNewPrivs|Seccomp:" /proc/1/status; touch /x 2>&1 || true'
    code=0; {podman} exec {DAEMON} monobase ready --min-gen-id 1 >/dev/null || code=$?; echo "probe: $code"
    ls -d /srv/r8/monobase/monobase
    {podman} kube down {file} >&2
    """
    began = time.monotonic()
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script],  # noqa: S607 (of the PATH)
        env=cluster.engine.environment(), capture_output=True, text=True, check=False, timeout=400,
    )  # fmt: skip
    assert done.returncode == 0, f"{time.monotonic() - began:.0f} s\n{done.stdout}{done.stderr}"
    assert done.stdout.startswith("200\n"), done.stdout
    assert "\nnot ready\ng00003: " in done.stdout, done.stdout
    assert "readiness: 22" in done.stdout
    assert "probe: 1" in done.stdout
    assert "g00002" in done.stdout
    assert "CapEff:\t0000000000000000" in done.stdout
    assert "NoNewPrivs:\t1" in done.stdout
    assert "Read-only file system" in done.stdout
