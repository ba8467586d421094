"""An image with an environment in it, and a model on top: contents, bills, containers."""

import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from image.oci.layout import Layout, read_json, read_layout
from tests.images.engine import Engine
from tests.images.layouts import runtime_layout

pytest_plugins = ["tests.images.fixtures"]

ENVIRONMENT = "python3.11-torch2.13.0-cu130"
PREFIX = "/srv/r8/monobase"
HOME = f"{PREFIX}/monobase/g00002/{ENVIRONMENT}"
BILLS = ["MONOBASE_BAKED_BILL", "MONOBASE_BAKED_MODEL_BILL"]


def layout(variable: str) -> Layout:
    return read_layout(Path(os.environ[variable]).absolute())


def bill_of(variable: str) -> dict[str, Any]:
    parsed: dict[str, Any] = json.loads(Path(os.environ[variable]).read_text())
    return parsed


@pytest.fixture(scope="module")
def model(podman: Engine) -> str:
    """Load the model's image into podman, and return its name there: it has all of the image below."""
    return podman.pull(f"oci:{layout('MONOBASE_BAKED_MODEL').directory}")


def run(podman: Engine, image: str, *command: str) -> str:
    """Run a command without the layer and without a node: any user, a read-only root, no network."""
    options = ("--rm", "--pull=never", "--read-only", "--network", "none", "--user", "4711:4711")
    return podman.run("run", *options, "--env", "MONOBASE_USER_VENV=", image, *command).stdout


def test_it_activates_like_a_node_s_environment(podman: Engine, model: str) -> None:
    program = (
        "import os, small, sys, torch; print(torch.NAME, sys.prefix, os.environ['MONOBASE_ENVIRONMENT'])"
    )
    assert run(podman, model, "python", "-c", program) == f"torch in the image {HOME} {HOME}\n"
    assert run(podman, model, "torchrun") == "torch in the image\n"


def test_its_toolkit_is_activated_and_shares_files_with_the_environment(podman: Engine, model: str) -> None:
    script = """
echo "$CUDA_HOME"
packages=$VIRTUAL_ENV/lib/python3.11/site-packages
set -- "$CUDA_HOME"/lib64/libcublas.so.* "$packages"/nvidia/cu13/lib/libcublas.so.*
stat -c %h "$1"
[ "$1" -ef "$2" ] && echo one file
"""
    found = run(podman, model, "sh", "-c", script).splitlines()
    assert found == [f"{PREFIX}/monobase/g00002/cuda13.0", "2", "one file"]


def test_a_start_writes_nothing_and_warns_of_nothing(podman: Engine, model: str) -> None:
    container = podman.run("run", "--detach", model, "python", "-c", "import torch, small").stdout.strip()
    assert podman.run("wait", container).stdout == "0\n"
    printed = podman.run("logs", container)
    assert (printed.stdout, printed.stderr) == ("", "")
    changed = [line.split()[1] for line in podman.run("diff", container).stdout.splitlines()]
    assert [path for path in changed if path.startswith(PREFIX)] == []


def test_a_model_on_it_needs_no_node(podman: Engine, model: str) -> None:
    done = podman.run("run", "--rm", "--read-only", "--network", "none", model)
    assert (done.stdout, done.stderr) == ("ours in the layer torch in the image /opt/venv\n", "")


def test_a_model_has_the_layers_of_its_base_below_its_own() -> None:
    below, model = layout("MONOBASE_BAKED"), layout("MONOBASE_BAKED_MODEL")
    assert model.layers[: len(below.layers)] == below.layers
    assert below.layers[: len(runtime_layout().layers)] == runtime_layout().layers
    assert len(below.layers) == len(runtime_layout().layers) + 3


def test_the_same_image_elsewhere_has_the_same_digest() -> None:
    first, again = layout("MONOBASE_BAKED"), layout("MONOBASE_BAKED_AGAIN")
    assert first.directory != again.directory
    assert first.manifest.digest == again.manifest.digest


def test_labels_and_variables_name_the_environment() -> None:
    image = layout("MONOBASE_BAKED")
    config = read_json(image.path(image.config))["config"]
    labels = config["Labels"]
    assert labels["monobase.environment"] == ENVIRONMENT
    assert labels["monobase.generation"] == "2"
    assert labels["monobase.toolkits"] == "cuda13.0"
    assert labels["org.opencontainers.image.base.digest"] == runtime_layout().manifest.digest
    assert {
        "MONOBASE_GEN_ID=2", "PYTHON_VERSION=3.11", "TORCH_VERSION=2.13.0+cu130", "CUDA_VERSION=13.0",
    } <= set(config["Env"])  # fmt: skip
    assert read_json(image.path(image.manifest))["annotations"] == labels


@pytest.mark.parametrize("variable", BILLS)
def test_the_bill_is_valid_cyclonedx(variable: str) -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(json.dumps(bill_of(variable))) is None


@pytest.mark.parametrize(
    ("variable", "image"), list(zip(BILLS, ["MONOBASE_BAKED", "MONOBASE_BAKED_MODEL"], strict=True))
)
def test_the_bill_lists_the_wheels_that_are_in_the_image(variable: str, image: str) -> None:
    in_image = installed(layout(image))
    components = bill_of(variable)["components"]
    of_environment = {
        (found["name"], found["version"])
        for found in components
        if found["bom-ref"].startswith("environment:pkg:pypi/")
    }
    assert of_environment == {pair for pair, path in in_image.items() if path.startswith(PREFIX[1:])}
    assert {name for name, _ in of_environment} == {"nvidia-cublas", "small", "torch"}
    of_layer = {
        (found["name"], found["version"]) for found in components if found["bom-ref"].startswith("pkg:pypi/")
    }
    assert of_layer == {pair for pair, path in in_image.items() if path.startswith("opt/venv")}


def installed(image: Layout) -> dict[tuple[str, str], str]:
    """Read as a scanner does which distributions are installed: their METADATA by name and version."""
    found = {}
    # The runtime has none, and reading it takes the most time.
    for blob in image.layers[len(runtime_layout().layers) :]:
        with tarfile.open(image.path(blob)) as archive:
            for member in archive:
                if member.isfile() and member.name.endswith(".dist-info/METADATA"):
                    stream = archive.extractfile(member)
                    assert stream is not None
                    lines = dict(
                        line.split(": ", 1) for line in stream.read().decode().splitlines() if ": " in line
                    )
                    found[lines["Name"].lower(), lines["Version"]] = member.name
    return found


@pytest.mark.parametrize("variable", BILLS)
def test_the_bill_has_interpreter_and_toolkit_and_places_all_in_the_image(variable: str) -> None:
    found = {component["bom-ref"]: component for component in bill_of(variable)["components"]}
    assert any(name.startswith("pkg:generic/cpython@3.11.") for name in found)
    assert f"monobase-environment@g00002/{ENVIRONMENT}" in found
    assert "monobase-toolkit@g00002/cuda13.0" in found
    assert any(name.startswith("cuda13.0:pkg:pypi/nvidia-cublas@") for name in found)
    places = [
        value["value"]
        for component in found.values()
        for value in component.get("properties", ())
        if value["name"] == "monobase:place"
    ]
    assert set(places) == {"image"}
    # Files of the prefix are parts of packages, not of the application.
    files = [file["name"] for file in found["monobase"]["components"]]
    assert "/opt/monobase/exec" in files
    assert [name for name in files if name.startswith(PREFIX)] == []
