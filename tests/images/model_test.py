"""The example of a weightless model (runtime/examples/echo): its image, and a container of it on a prefix."""

import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from image.oci.image_index import ImageIndex, read_content
from image.oci.layout import Layout, read_json, read_layout
from tests.images.engine import Engine
from tests.images.layouts import runtime_layout
from tests.index.interpreter_archive import write_interpreter
from tests.registry.local_registry import local_registry
from tests.registry.push_process import Pusher

pytest_plugins = ["tests.images.fixtures"]

PREFIX = "/srv/r8/monobase"
GENERATION, ENVIRONMENT, PYTHON = "g00003", "python3.11-torch2.13.0-cu130", "3.11"
ASKS = """\
import json, sys, urllib.request
for _ in range(600):
    try:
        urllib.request.urlopen("http://127.0.0.1:%s/" % sys.argv[1]).read()
        break
    except OSError:
        __import__("time").sleep(0.1)
request = urllib.request.Request("http://127.0.0.1:%s/" % sys.argv[1], b"hello", method="POST")
print(urllib.request.urlopen(request).read().decode())
"""


def image_of(variable: str) -> Layout:
    return read_layout(Path(os.environ[variable]).absolute())


@pytest.fixture(scope="module")
def echo() -> Layout:
    return image_of("MONOBASE_ECHO_IMAGE")


@pytest.fixture(scope="module")
def labels(echo: Layout) -> dict[str, str]:
    found: dict[str, str] = read_json(echo.path(echo.config))["config"]["Labels"]
    return found


@pytest.fixture(scope="module")
def node(podman: Engine) -> Path:
    """Make a prefix with the environment of the example, as it is in a container: not to be used here."""
    root = podman.directory / "model" / "prefix"
    root.mkdir(parents=True)
    interpreter = f"uv/python/cpython-{PYTHON}.18-linux-x86_64-gnu"
    write_interpreter(root.parent / "python.tar.gz")
    shutil.unpack_archive(root.parent / "python.tar.gz", root / "uv" / "python")
    (root / "uv" / "python" / "python").rename(root / interpreter)
    home = f"{PREFIX}/{interpreter}/bin"
    generation = root / "monobase" / GENERATION
    environment = generation / ENVIRONMENT
    (environment / "bin").mkdir(parents=True)
    (environment / "bin" / "python").symlink_to(f"{home}/python{PYTHON}")
    # By which the runtime knows the base of the layer.
    (environment / ".content").write_text(f"{_header('content').removeprefix('sha256:')}\n")
    (environment / "pyvenv.cfg").write_text(f"home = {home}\nversion_info = {PYTHON}\n")
    torch = environment / "lib" / f"python{PYTHON}" / "site-packages" / "torch"
    torch.mkdir(parents=True)
    (torch / "__init__.py").write_text("__version__ = '2.13.0+fake'\n")
    (generation / "environments").write_text(
        f"monobase-environments 1\ngeneration {GENERATION} sealed\nplatform x86_64-manylinux_2_34\n"
        f"python {PYTHON} {PYTHON}.18\n"
        f"environment {ENVIRONMENT} ready {PYTHON} {PYTHON}.18 2.13.0 cu130 13.0\n"
    )
    (generation / ".done").touch()
    (root / "monobase" / "latest").symlink_to(GENERATION)
    return root


def _header(key: str) -> str:
    lines = Path(os.environ["MONOBASE_ECHO_LOCK"]).read_text().splitlines()
    return next(line.removeprefix(f"# {key}: ") for line in lines if line.startswith(f"# {key}: "))


@pytest.fixture(scope="module")
def server(podman: Engine, images: dict[str, str], echo: Layout, node: Path) -> Iterator[str]:
    """Run the example as the restricted Pod Security Standard asks, with a read-only root."""
    assert "runtime" in images  # its layers are the engine's already
    image = podman.pull(f"oci:{echo.directory}")
    started = podman.run(
        "run", "--detach", "--read-only", "--mount=type=tmpfs,destination=/tmp", "--cap-drop=all",
        "--security-opt=no-new-privileges", "--env=PORT=0", f"--volume={node}:{PREFIX}:ro", image,
    )  # fmt: skip
    name = started.stdout.strip()
    yield name
    podman.run("rm", "--force", "--time", "0", name)


def test_the_example_serves_from_a_read_only_root_as_nobody_special(podman: Engine, server: str) -> None:
    port = _port(podman, server)
    said = podman.run("exec", server, "python", "-c", ASKS, port)
    assert json.loads(said.stdout) == {
        "text": "hello",
        "digest": "ea8f163db38682925e4491c5e58d4bb3506ef8c14eb78a86e908c5624a67200f",
        "torch": "2.13.0+fake",
    }
    assert podman.run("exec", server, "id", "-u").stdout == "1000\n"
    assert "warning" not in podman.run("logs", server).stderr


def _port(podman: Engine, server: str) -> str:
    for _ in range(600):
        printed = podman.run("logs", server)
        if "serving at port" in printed.stdout:
            return printed.stdout.split()[-1]
        running = podman.run("inspect", "--format", "{{.State.Running}}", server).stdout.strip()
        assert running == "true", printed.stdout + printed.stderr
        podman.run("exec", server, "sleep", "0.1", code=None)
    raise AssertionError("the example does not serve")


def test_the_image_is_the_runtime_s_with_packages_and_code_above(echo: Layout) -> None:
    runtime = runtime_layout()
    count = len(runtime.layers)
    assert echo.layers[:count] == runtime.layers
    assert len(echo.layers) == count + 2
    with tarfile.open(echo.path(echo.layers[-1])) as archive:
        assert [member.name for member in archive if member.isfile()] == ["opt/model/server.py"]


def test_labels_name_generation_environment_and_base(echo: Layout, labels: dict[str, str]) -> None:
    assert labels["monobase.generation"] == "3"
    assert labels["monobase.environment"] == ENVIRONMENT
    assert labels["monobase.base"] == _header("base")
    assert labels["org.opencontainers.image.title"] == "echo"
    assert labels["org.opencontainers.image.base.digest"] == runtime_layout().manifest.digest
    assert read_json(echo.path(echo.manifest))["annotations"] == labels


def test_the_same_model_elsewhere_is_the_same_image(echo: Layout) -> None:
    again = image_of("MONOBASE_ECHO_AGAIN")
    assert again.directory != echo.directory
    assert again.manifest.digest == echo.manifest.digest


def test_a_change_of_the_code_changes_a_thousandth_of_the_bytes(echo: Layout) -> None:
    changed = image_of("MONOBASE_ECHO_CHANGED")
    assert changed.layers[:-1] == echo.layers[:-1]
    assert changed.layers[-1] != echo.layers[-1]
    all_bytes = sum(blob.size_bytes for blob in (*changed.blobs, changed.manifest))
    known = {blob.digest for blob in echo.blobs}
    new = [blob for blob in (*changed.blobs, changed.manifest) if blob.digest not in known]
    assert len(new) == 3  # code, configuration, manifest
    assert sum(blob.size_bytes for blob in new) <= all_bytes / 1000


def test_the_bill_has_the_base_s_packages_beside_those_of_the_image() -> None:
    bill = json.loads(Path(os.environ["MONOBASE_ECHO_BILL"]).read_text())
    found = {component["bom-ref"]: component for component in bill["components"]}
    on_node = [name for name in found if name.startswith("node:pkg:pypi/")]
    assert "node:pkg:pypi/torch@2.13.0" in on_node
    lock = Path("gens", GENERATION, f"{ENVIRONMENT}.txt").read_text()
    assert len(on_node) == lock.count(" --hash=sha256:")
    wheels = {name.partition("@")[0] for name in found if name.startswith("pkg:pypi/")}
    assert wheels == {"pkg:pypi/blake3", "pkg:pypi/msgspec"}
    assert sum(name.startswith("pkg:deb/") for name in found) > 400
    assert [file["name"] for file in found["model"]["components"]] == ["/opt/model/server.py"]


def test_the_index_of_both_architectures_is_pushed(tmp_path: Path) -> None:
    index = read_content(Path(os.environ["MONOBASE_ECHO_INDEX"]).absolute())
    assert isinstance(index, ImageIndex)
    assert [image.manifest.architecture for image in index.images] == ["amd64", "arm64"]
    (tmp_path / "home").mkdir()
    with local_registry(tmp_path / "registry") as registry:
        repository = f"{registry.host}/team/echo"
        pushed = Pusher(tmp_path / "home", {}).push(index.directory, repository, "--tag", "v1")
        assert pushed.returncode == 0, pushed.stderr
        assert pushed.stdout.strip() == f"{repository}@{index.root.digest}"
