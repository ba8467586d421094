"""The same way with a real Torch, of the real generations, from the machine's own index.

It fetches 3 GB and needs 15 GB of disk:

    bazel test //tests/images:real_torch_test --test_output=all

GitHub serves the interpreters that uv downloads; here it is the running one (`interpreter_archive.py`), under
the version that the generation names.
"""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gens.catalog import load_catalog
from tests.images.cluster import DAEMON_BASE, MODEL, MODEL_BASE, Cluster, node_of_a_cluster, secret
from tests.images.layouts import daemon_layout, runtime_layout
from tests.index.interpreter_archive import interpreter_mirror
from tools.deploy.base import Manifest

GENERATION = 2
TORCH = "2.13.0"
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
# How this machine reaches its index: what an operator puts into the Secret.
INHERITED = ("UV_DEFAULT_INDEX", "http_proxy", "https_proxy", "no_proxy")


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    with node_of_a_cluster(tmp_path, patience_s=1800) as found:
        yield found


def _trusting(manifests: list[Manifest]) -> list[Manifest]:
    """Mount this machine's certificates into the daemon, as on a cluster behind a proxy of its own."""
    bundle = os.environ.get("SSL_CERT_FILE", BUNDLE)
    pod = manifests[-1]["spec"]["template"]["spec"]
    pod["volumes"].append({"name": "trust", "hostPath": {"path": bundle, "type": "File"}})
    pod["containers"][0]["volumeMounts"].append({"name": "trust", "mountPath": BUNDLE, "readOnly": True})
    return manifests


def test_a_model_imports_a_real_torch(cluster: Cluster, tmp_path: Path) -> None:
    python = load_catalog().generation(GENERATION).python["3.11"]
    cluster.push(daemon_layout(), "monobase-daemon", "v1")
    cluster.push(runtime_layout(), "monobase-runtime", "v1")
    with interpreter_mirror(tmp_path / "interpreters", (python,)) as mirror:
        inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
        credentials = secret("monobase-index", {"UV_PYTHON_DOWNLOADS_JSON_URL": mirror.list_url} | inherited)
        variables = {
            "MONOBASE_PREFIX": str(cluster.prefix), "MONOBASE_LISTEN": f"127.0.0.1:{cluster.port}",
            "MONOBASE_MIN_GEN_ID": str(GENERATION), "MONOBASE_MAX_GEN_ID": str(GENERATION),
            "MONOBASE_ONLY": f"python3.11-torch{TORCH}-* cuda13.0",
        }  # fmt: skip
        daemon = cluster.manifests(DAEMON_BASE, "monobase-daemon", daemon_layout(), variables)
        began = time.monotonic()
        cluster.play([credentials, *_trusting(daemon)])
        cluster.wait(lambda: "installing" in json.dumps(cluster.readiness()))
        _tell("during the install", json.dumps(cluster.readiness())[:600])
        cluster.wait(cluster.ready)
        _tell(f"ready after {time.monotonic() - began:.0f} s", json.dumps(cluster.readiness())[:600])
        model = cluster.manifests(
            MODEL_BASE, "monobase-runtime", runtime_layout(),
            {
                "MONOBASE_PREFIX": str(cluster.prefix), "MONOBASE_GEN_ID": str(GENERATION),
                "PYTHON_VERSION": "3.11", "TORCH_VERSION": TORCH, "CUDA_VERSION": "13.0",
            },
        )  # fmt: skip
        cluster.play(model)
        cluster.wait(lambda: f"{TORCH}+cu130 False" in cluster.logs(MODEL), MODEL)
        _tell("the example model", cluster.logs(MODEL))
        cluster.stop(model)
        _build_an_extension(cluster, model)
        cluster.stop([credentials, *daemon])


_EXTENSION = """\
import os, pathlib, subprocess, torch
from torch.utils import cpp_extension
source = pathlib.Path('/tmp/ours.cpp')
source.write_text('''
#include <ATen/ATen.h>
#include <torch/library.h>
static at::Tensor twice(const at::Tensor& x) { return x * 2; }
TORCH_LIBRARY(ours, library) { library.def("twice", twice); }
''')
cpp_extension.load('ours', [str(source)], is_python_module=False)
print('extension', torch.ops.ours.twice(torch.ones(2)).tolist(), flush=True)
kernel = pathlib.Path('/tmp/kernel.cu')
kernel.write_text('__global__ void twice(float *x) { x[threadIdx.x] *= 2; }')
nvcc = os.environ['CUDA_HOME'] + '/bin/nvcc'
subprocess.run([nvcc, '-c', str(kernel), '-o', '/tmp/kernel.o'], check=True)
print('kernel', pathlib.Path('/tmp/kernel.o').stat().st_size > 0, flush=True)
"""


def _build_an_extension(cluster: Cluster, model: list[Manifest]) -> None:
    """Compile in a model what needs the image's compilers: an operator of Torch, and a kernel by nvcc.

    (Nothing with Python.h: the interpreter that stands in here has no headers, those that uv downloads have.)
    """
    container = model[0]["spec"]["containers"][0]
    container["args"] = ["python", "-c", _EXTENSION]
    container["resources"] = {}
    cluster.play(model)
    cluster.wait(lambda: "kernel True" in cluster.logs(MODEL), MODEL)
    logs = cluster.logs(MODEL)
    assert "extension [2.0, 2.0]" in logs
    _tell("an operator and a kernel built in the model", logs[-300:])


def _tell(what: str, text: str) -> None:
    print(f"--- {what}\n{text}", flush=True)
