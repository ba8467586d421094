"""A real Torch on a real GPU, by the whole way: wheels, install, read-only mount, activation, CUDA.

    python3 -m tests.gpu.check --folder /tmp/gpu

on a machine with a GPU and a Torch that pip has installed; it needs no network. What Torch requires becomes
wheels (`repack.py`) of an index on loopback, a generation of one environment with its CUDA and cuDNN is
installed by the daemon, and a model is started by `runtime/exec` on a read-only mount, as uid 1000; then
`runtime/doctor` in its place. It prints what it saw as JSON, and exits with 1 where something is not as it
must be.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import time
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from tests.gpu.repack import is_installed, repack, with_requirements
from tests.index.server import LocalIndex
from tests.index.wheel import Wheel, normalized
from tests.node.node import Node
from tests.synthetic.catalog import PYTHON, Cell, environment_cell, toolkit_cell

_ROOT = Path(__file__).parents[2]
_OF_THE_DRIVER = ("libcuda.so", "libnvidia-")
_MODEL = Path(__file__).with_name("model.py")


def main() -> None:
    """Run the check."""
    parser = argparse.ArgumentParser(description="Install and use a real Torch on a real GPU.")
    parser.add_argument(
        "--folder", type=Path, required=True, help="Scratch on a file system with hard links."
    )
    parser.add_argument("--cpu", action="store_true", help="Go on where Torch sees no GPU.")
    parser.add_argument("--uid", type=int, default=1000, help="User that the model runs as.")
    given = parser.parse_args()
    folder: Path = given.folder
    folder.mkdir(parents=True, exist_ok=True)
    seen: dict[str, object] = {}
    with LocalIndex(folder / "wheels") as index:
        cells, cuda = _cells(index, folder, seen)
        node = Node(index, folder, folder / "prefix", folder / "gens")
        node.define(*cells)
        began = time.monotonic()
        node.install("--jobs", str(os.cpu_count()))
        seen["install_s"] = round(time.monotonic() - began, 1)
        subprocess.run(node.command("verify"), check=True, env=node.environment_variables(), cwd=folder)
    torch = distribution("torch").version.partition("+")[0]
    asked = {"PYTHON_VERSION": PYTHON, "TORCH_VERSION": torch} | (cuda or {})
    seen["model"] = _run_model(node, asked, given.uid)
    seen["listed_architectures"] = _listed_architectures(node)
    seen["doctor"] = doctor = _run_doctor(node, asked, given.uid)
    print(json.dumps(seen, indent=1))
    wrong = _wrong(seen["model"], node.root, given.uid, cpu=given.cpu)
    wrong += _wrong_architectures(seen["model"], _listed_architectures(node))
    wrong += _wrong_of_doctor(doctor, seen["model"])
    for line in wrong:
        print(f"wrong: {line}", file=sys.stderr)
    sys.exit(1 if wrong else 0)


def _cells(
    index: LocalIndex, folder: Path, seen: dict[str, object]
) -> tuple[list[Cell], dict[str, str] | None]:
    """Make the wheels, and define an environment and its toolkits."""
    began = time.monotonic()
    wheels = {}
    for held in with_requirements(["torch", "numpy"] if is_installed("numpy") else ["torch"]):
        wheel = repack(held, folder / "repacked")
        wheels[normalized(wheel.spec.name)] = index.add(wheel)
    seen["wheels"] = len(wheels)
    seen["wheel_bytes"] = sum(wheel.size_bytes for wheel in wheels.values())
    seen["repack_s"] = round(time.monotonic() - began, 1)
    runtime = [wheel for name, wheel in wheels.items() if name.startswith("nvidia-cuda-runtime")]
    if not runtime:
        return [
            environment_cell(list(wheels.values()), distribution("torch").version.partition("+")[0])
        ], None
    return _cuda_cells(wheels, runtime[0])


def _cuda_cells(wheels: dict[str, Wheel], runtime: Wheel) -> tuple[list[Cell], dict[str, str]]:
    major, minor = runtime.spec.version.split(".")[:2]
    torch = distribution("torch").version.partition("+")[0]
    cells = [environment_cell(list(wheels.values()), torch, f"cu{major}{minor}")]
    cudnn = [wheel for name, wheel in wheels.items() if name.startswith("nvidia-cudnn")]
    cuda = [
        wheel
        for name, wheel in wheels.items()
        if name.startswith("nvidia-") and wheel not in cudnn and "nvshmem" not in name and "nccl" not in name
    ]
    cells.append(toolkit_cell(cuda, runtime.spec.version))
    asked = {"CUDA_VERSION": f"{major}.{minor}"}
    if cudnn:
        cells.append(toolkit_cell(cudnn, cudnn[0].spec.version, major))
        asked["CUDNN_VERSION"] = cudnn[0].spec.version.partition(".")[0]
    return cells, asked


def _run_model(node: Node, asked: dict[str, str], uid: int) -> dict[str, object]:
    """Start the model as a user on a read-only mount of the prefix, and read what it saw."""
    program = _home(node, uid) / "model.py"
    shutil.copy(_MODEL, program)
    done = _start(node, asked, uid, "exec", "python", str(program))
    if done.returncode != 0:
        sys.exit(f"the model ended with {done.returncode}\n{done.stdout}{done.stderr}")
    if done.stderr:
        print(done.stderr, file=sys.stderr)
    found: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return found


def _run_doctor(node: Node, asked: dict[str, str], uid: int) -> dict[str, Any]:
    """Start the doctor as the model was started, and read what it found."""
    done = _start(node, asked, uid, "doctor", "--json")
    if not done.stdout:
        sys.exit(f"the doctor ended with {done.returncode}\n{done.stderr}")
    print(_start(node, asked, uid, "doctor").stdout, file=sys.stderr)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def _home(node: Node, uid: int) -> Path:
    home = node.directory / "home"
    home.mkdir(exist_ok=True)
    os.chown(home, uid, uid)
    return home


def _start(
    node: Node, asked: dict[str, str], uid: int, program: str, *arguments: str
) -> subprocess.CompletedProcess[str]:
    """Run a program of the runtime as a user on a read-only mount of the prefix."""
    home = _home(node, uid)
    script = (
        'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && '
        f'exec setpriv --reuid {uid} --regid {uid} --clear-groups -- "$@"'
    )
    variables = {
        "PATH": os.environ["PATH"], "HOME": str(home), "MONOBASE_PREFIX": str(node.root), "LANG": "C.UTF-8",
        **({"LD_LIBRARY_PATH": os.environ["LD_LIBRARY_PATH"]} if "LD_LIBRARY_PATH" in os.environ else {}),
        **asked,
    }  # fmt: skip
    return subprocess.run(
        ["/usr/bin/unshare", "--mount", "/bin/sh", "-c", script, str(node.root),
         str(_ROOT / "runtime" / program), *arguments],
        capture_output=True, text=True, check=False, env=variables, cwd=home,
    )  # fmt: skip


def _listed_architectures(node: Node) -> list[str]:
    """Return the GPU architectures that the installer read from the library of Torch."""
    lines = node.prefix.environments_file("g00000").read_text().splitlines()
    return next((line.split()[2:] for line in lines if line.startswith("architectures ")), [])


def _wrong_architectures(model: object, listed: list[str]) -> list[str]:
    """Compare what the installer read with what Torch itself tells on a GPU."""
    told = model.get("architectures", listed) if isinstance(model, dict) else listed
    return (
        [] if told == listed else [f"Torch has code for {told}, and the list of environments says {listed}"]
    )


def _wrong(model: object, root: Path, uid: int, *, cpu: bool) -> list[str]:
    """Return what is wrong in a model's report."""
    if not isinstance(model, dict):
        return ["the model told nothing"]
    wrong = []
    if model["writable"]:
        wrong.append("the model can write to the prefix")
    if model["uid"] != uid:
        wrong.append(f"the model runs as {model['uid']}")
    for path in model["libraries"]:
        of_the_driver = Path(path).name.startswith(_OF_THE_DRIVER)
        if "/nvidia/" in path and of_the_driver == path.startswith(f"{root}/"):
            wrong.append(f"{path} is loaded, which {'the driver' if of_the_driver else 'the prefix'} has")
    if not model["cuda"]:
        return wrong if cpu else [*wrong, "Torch sees no GPU"]
    if not any(path.startswith(f"{root}/") and "libcudnn" in path for path in model["libraries"]):
        wrong.append("no libcudnn of the prefix is loaded")
    errors = {name: model[name] for name in ("matmul_error", "convolution_error", "compile_error")}
    wrong += [f"{name}: {x}" for name, x in errors.items() if not isinstance(x, float) or x > 0.05]
    return wrong


def _wrong_of_doctor(doctor: dict[str, Any], model: object) -> list[str]:
    """Return where the doctor and the model differ."""
    wrong = [
        f"the doctor: {finding['subject']}: {finding['found']}"
        for finding in doctor["findings"]
        if finding["state"] == "problem"
    ]
    if isinstance(model, dict) and model["cuda"]:
        gpus = doctor["cuda"]["gpus"]
        if not gpus or gpus[0]["capability"] != model["capability"] or gpus[0]["name"] != model["device"]:
            wrong.append(f"the doctor sees {gpus}, Torch {model['device']} {model['capability']}")
        if not doctor["driver"]["version"]:
            wrong.append("the doctor finds no version of the driver")
    return wrong


if __name__ == "__main__":
    main()
