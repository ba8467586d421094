import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from image.engine.container_engine import Engine, find_engine
from image.engine.load import load
from image.oci.layout import Layout
from tests.registry.sample_layout import write_sample_layout


@pytest.fixture
def podman() -> Iterator[Engine]:
    """podman with folders of its own; the driver needs no mount."""
    if shutil.which("podman") is None:
        pytest.skip("podman is not on the PATH; the toolbox of ./bazelw has it")
    # Not in the test's own folder: podman refuses paths that are as long as Bazel's.
    with tempfile.TemporaryDirectory() as folder:
        arguments = (
            f"--root={folder}/root", f"--runroot={folder}/run", f"--tmpdir={folder}/temporary",
            "--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=none", "--runtime=runc",
        )  # fmt: skip
        yield find_engine("podman", arguments, os.environ["PATH"])


def ask(engine: Engine, *arguments: str) -> str:
    done = subprocess.run(
        [engine.program, *engine.arguments, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def image(tmp_path: Path) -> Layout:
    return write_sample_layout(tmp_path / "image", [3_000_000, 1000])


def test_podman_knows_a_loaded_image_by_its_digest(podman: Engine, image: Layout) -> None:
    told: list[int] = []

    names = load(image, podman, ["team/image:v1"], told.append)

    assert names == ("localhost/team/image:v1",)
    assert ask(podman, "image", "inspect", "--format", "{{.Digest}}", names[0]) == image.manifest.digest
    assert f"sha256:{ask(podman, 'image', 'inspect', '--format', '{{.Id}}', names[0])}" == image.config.digest
    assert sum(told) > 3_000_000


def test_podman_knows_it_by_each_name(podman: Engine, image: Layout) -> None:
    names = load(image, podman, ["team/image:v1", "a.b/other:v2"], lambda _: None)

    assert names == ("localhost/team/image:v1", "a.b/other:v2")
    assert ask(podman, "image", "exists", "a.b/other:v2") == ""
    assert "/file0" in ask(podman, "image", "inspect", "--format", "{{.Config.Cmd}}", "a.b/other:v2")
