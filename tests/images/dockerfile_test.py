"""The Dockerfiles of runtime/README.md as they stand there, built by podman and run on a node's prefix."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pip
import pytest

from layers.lock import content_digest, format_layer_lock, lock_digest, read_layer_lock
from tests.images.engine import Engine, engine
from tests.images.layouts import builder_layout, runtime_layout
from tests.index.interpreter_archive import interpreter_mirror
from tests.index.server import LocalIndex
from tests.index.wheel import WheelSpec
from tests.layer.sample_lock import locked, sample_lock
from tests.synthetic.catalog import PYTHON_FULL, environment_cell, write_catalog

README = Path("runtime/README.md")
TEAM = "registry.example/team"
ENVIRONMENT = "python3.11-torch2.13.0-cu130"
SERVE = """\
import sys, ours, torch
print(ours.NAME, torch.NAME, sys.prefix)
"""
# A project that imports Torch to be built, like those with CUDA extensions, and has something to compile.
BACKEND = """\
import ctypes, os, subprocess, zipfile, torch
def build_wheel(folder, config_settings=None, metadata_directory=None):
    subprocess.run(["cc", "-shared", "-fPIC", "-o", "kernels.so", "kernels.c"], check=True)
    info = "kernels-1.0.dist-info"
    with zipfile.ZipFile(os.path.join(folder, "kernels-1.0-py3-none-linux_x86_64.whl"), "w") as archive:
        archive.write("kernels.so")
        archive.writestr("kernels_of.py", f"TORCH = {torch.NAME!r}")
        archive.writestr(info + "/METADATA", "Metadata-Version: 2.1\\nName: kernels\\nVersion: 1.0\\n"
            "Requires-Dist: torch\\nRequires-Dist: ours\\n")
        archive.writestr(info + "/WHEEL", "Wheel-Version: 1.0\\nGenerator: test\\nRoot-Is-Purelib: false\\n"
            "Tag: py3-none-linux_x86_64\\n")
        names = ["kernels.so", "kernels_of.py", info + "/METADATA", info + "/WHEEL", info + "/RECORD"]
        archive.writestr(info + "/RECORD", "".join(name + ",,\\n" for name in names))
    return "kernels-1.0-py3-none-linux_x86_64.whl"
"""
PROJECT = """\
[build-system]
requires = []
build-backend = "backend"
backend-path = ["."]
[project]
name = "kernels"
version = "1.0"
"""


@dataclass(frozen=True, slots=True)
class Author:
    """A model's author with a builder and a runtime image, whose generations come from a local index."""

    podman: Engine
    context: Path

    def build(self, dockerfile: str, tag: str) -> str:
        """Build a Dockerfile in the author's folder, and return the name of the image."""
        path = self.context / "Dockerfile"
        path.write_text(dockerfile)
        self.podman.run(
            "build", "--pull=never", "--network", "host", "--tag", tag, "--file", path, self.context
        )
        return f"localhost/{tag}"

    def run(self, image: str, *command: str, prefix: Path | None = None) -> str:
        """Run a command in a model: any user, a read-only root, no network."""
        mount = () if prefix is None else ("--volume", f"{prefix}:/srv/r8/monobase:ro")
        options = ("--rm", "--pull=never", "--read-only", "--network", "none", "--user", "1000:1000", *mount)
        return self.podman.run("run", *options, image, *command).stdout


def dockerfiles() -> list[str]:
    """Return the Dockerfiles of the section about the builder image."""
    section = README.read_text().partition("\n## The builder image\n")[2].partition("\n## ")[0]
    return re.findall(r"```dockerfile\n(.*?)```", section, re.DOTALL)


@pytest.fixture(scope="module")
def author(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Author]:
    folder = tmp_path_factory.mktemp("author")
    with (
        LocalIndex(folder / "index") as index,
        interpreter_mirror(folder / "interpreters", small=True) as mirror,
        engine() as podman,
    ):
        context = folder / "context"
        write_context(context, index, folder)
        found = Author(podman, context)
        for name, layout in (("builder", builder_layout()), ("runtime", runtime_layout())):
            podman.run("tag", podman.pull(f"oci:{layout.directory}"), f"{TEAM}/monobase-{name}:v1")
        # As a company's own builder: with its index, its mirror, and here its generations.
        settings = {
            "MONOBASE_GENS": "/gens", "UV_DEFAULT_INDEX": index.url(),
            "UV_PYTHON_DOWNLOADS_JSON_URL": mirror.list_url,
        }  # fmt: skip
        lines = [f"FROM {TEAM}/monobase-builder:v1", "COPY gens /gens"]
        lines += [f"ENV {name}={value}" for name, value in settings.items()]
        podman.run("tag", found.build("\n".join(lines), "builder"), f"{TEAM}/monobase-builder:v1")
        yield found


def pip_wheel() -> WheelSpec:
    """Describe a wheel of the pip that is installed here (Bazel leaves its RECORD out)."""
    package = Path(pip.__file__).parent
    paths = [it for it in package.rglob("*") if it.is_file() and it.suffix != ".pyc"]
    files = {it.relative_to(package.parent).as_posix(): it.read_bytes() for it in paths}
    return WheelSpec("pip", pip.__version__, files=files)


def write_context(context: Path, index: LocalIndex, folder: Path) -> None:
    """Write what an author has: a lock, a program, a project to compile, and the builder's generation."""
    torch = index.add(WheelSpec("torch", "2.13.0", files={"torch.py": b"NAME = 'torch of the base'\n"}))
    builder_of_wheels = index.add(pip_wheel())
    cell = environment_cell([torch, builder_of_wheels], "2.13.0", "cu130", python=PYTHON_FULL)
    catalog = write_catalog(context / "gens", {2: [cell]})
    ours = WheelSpec("ours", "1.0", files={"ours.py": b"NAME = 'ours of the layer'\n"})
    index.add(ours)
    lock = sample_lock(
        folder / "wheels",
        ours,
        environment=ENVIRONMENT,
        python_full=PYTHON_FULL,
        base=lock_digest((catalog / "g00002" / f"{ENVIRONMENT}.txt").read_text()),
        content=content_digest(locked(wheel) for wheel in (torch, builder_of_wheels)),
    )
    files = {
        "model.lock": format_layer_lock(lock), "serve.py": SERVE, "kernels/backend.py": BACKEND,
        "kernels/pyproject.toml": PROJECT, "kernels/kernels.c": "int twice(int x) { return 2 * x; }\n",
    }  # fmt: skip
    (context / "kernels").mkdir()
    for name, text in files.items():
        (context / name).write_text(text)


@pytest.fixture(scope="module")
def node(author: Author) -> Path:
    """A prefix as the daemon installs it."""
    prefix = author.podman.directory / "prefix"
    prefix.mkdir()
    options = ("--rm", "--pull=never", "--network", "host", "--volume", f"{prefix}:/srv/r8/monobase")
    author.podman.run("run", *options, f"{TEAM}/monobase-builder:v1", "monobase", "install")
    return prefix


def test_a_layer_is_built_by_the_dockerfile_of_the_readme_and_runs_on_a_node(
    author: Author, node: Path
) -> None:
    model = author.build(dockerfiles()[0], "model")
    assert author.run(model, "python", "/src/serve.py", prefix=node) == (
        "ours of the layer torch of the base /opt/venv\n"
    )
    # The Python that the Dockerfile installs has compiled it.
    listed = author.run(
        model, "sh", "-c", "ls /opt/venv/lib/python3.11/site-packages/__pycache__", prefix=node
    )
    assert "ours.cpython-311.pyc" in listed.split()


def test_a_layer_is_locked_in_the_builder_by_another_user_than_root(author: Author, tmp_path: Path) -> None:
    (tmp_path / "requirements.in").write_text("ours\n")
    os.chown(tmp_path, 1000, 1000)
    run = ("run", "--rm", "--pull=never", "--user", "1000:1000", "--workdir", "/w")
    command = (
        f"{TEAM}/monobase-builder:v1",
        "monobase-layer",
        "lock",
        "requirements.in",
        "--env",
        ENVIRONMENT,
    )
    author.podman.run(*run, "--network", "host", "--volume", f"{tmp_path}:/w", *command)
    written = tmp_path / "model.lock"
    assert [(it.name, it.version) for it in read_layer_lock(written).wheels] == [("ours", "1.0")]
    assert written.stat().st_uid == 1000
    # In CI: nothing is written, and nobody is asked.
    read_only = ("--read-only", "--network", "none", "--volume", f"{tmp_path}:/w:ro")
    checked = author.podman.run(*run, *read_only, *command, "--check")
    assert checked.stdout == "/w/model.lock: up to date\n"


def test_what_compiles_against_torch_is_in_the_layer_and_the_base_is_not(author: Author, node: Path) -> None:
    layer, build = dockerfiles()[:2]
    second = layer[layer.index("\nFROM ") :]
    model = author.build(build + second, "compiled")
    program = """
import ctypes, kernels_of, os, ours, sys
library = ctypes.CDLL(os.path.join(sys.prefix, "lib/python3.11/site-packages/kernels.so"))
print(library.twice(21), kernels_of.TORCH, ours.NAME)
"""
    printed = author.run(model, "python", "-c", program, prefix=node)
    assert printed == "42 torch of the base ours of the layer\n"
    script = "ls /srv; ls /opt/venv/lib/python3.11/site-packages | grep torch; echo looked"
    assert author.podman.shell(model, script, "--pull=never").split() == ["looked"]


def test_an_image_with_the_environment_in_it_needs_no_node(author: Author) -> None:
    baked = author.build(dockerfiles()[2], "baked")
    program = "import torch, sys; print(torch.NAME, sys.prefix)"
    found = f"/srv/r8/monobase/monobase/g00002/{ENVIRONMENT}"
    assert author.run(baked, "python", "-c", program) == f"torch of the base {found}\n"
    # A layer fits it: the second stage of the first Dockerfile, on this image.
    layer = dockerfiles()[0].replace(f"FROM {TEAM}/monobase-runtime:v1", f"FROM {baked}")
    model = author.build(layer, "on-baked")
    assert author.run(model, "python", "/src/serve.py") == "ours of the layer torch of the base /opt/venv\n"
