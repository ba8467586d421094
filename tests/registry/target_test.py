"""The targets of oci_push and oci_load, with the arguments that `bazel run` passes to them."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.registry.local_registry import LocalRegistry

pytest_plugins = ["tests.registry.fixture"]

LAYOUT = "tests/registry/image"


def run(variable: str, home: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"HOME": str(home), "PATH": os.environ["PATH"], **variables}
    return subprocess.run(
        [os.environ[variable], LAYOUT, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_push_target_pushes_the_image_that_bazel_built(registry: LocalRegistry, tmp_path: Path) -> None:
    done = run("PUSH", tmp_path, "--repository", f"{registry.host}/team/image", "--tag", "v1")

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"{registry.host}/team/image@sha256:")
    assert registry.tags("team/image") == ["v1"]


def test_paths_are_relative_to_where_bazel_run_was_started(tmp_path: Path) -> None:
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker" / "config.json").write_text("{")
    variables = {"BUILD_WORKING_DIRECTORY": str(tmp_path), "DOCKER_CONFIG": "docker"}

    done = run("PUSH", tmp_path, "--repository", "localhost:1/team/image", **variables)

    assert done.returncode == 9
    assert "docker/config.json: is not JSON" in done.stderr


def test_the_load_target_loads_the_image_into_podman(tmp_path: Path) -> None:
    if shutil.which("podman") is None:
        pytest.skip("podman is not on the PATH; the toolbox of ./bazelw has it")
    # Not in the test's own folder: podman refuses paths that are as long as Bazel's.
    with tempfile.TemporaryDirectory() as folder:
        settings = (
            f"--root={folder}/root", f"--runroot={folder}/run", f"--tmpdir={folder}/temporary",
            "--storage-driver=vfs", "--cgroup-manager=cgroupfs", "--events-backend=none", "--runtime=runc",
        )  # fmt: skip
        arguments = [f"--engine-arg={setting}" for setting in settings]
        done = run("LOAD", tmp_path, "--default-tag", "monobase/sample:latest", *arguments)

    assert done.returncode == 0, done.stderr
    assert done.stdout == "localhost/monobase/sample:latest\n"


def test_the_load_target_says_that_there_is_no_engine(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    # Bazel's launcher of Python programs needs an interpreter and little else.
    for name in ("env", "python3"):
        found = shutil.which(name)
        if found is None:
            pytest.skip(f"{name} is not on the PATH")
        (programs / name).symlink_to(found)
    done = subprocess.run(
        [os.environ["LOAD"], LAYOUT, "--default-tag", "monobase/sample:latest"],
        env={"HOME": str(tmp_path), "PATH": str(programs)}, capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert done.returncode == 10, done.stderr
    assert "neither podman nor docker is on the PATH" in done.stderr
