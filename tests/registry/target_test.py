"""The targets that oci_push and oci_load make, run as `bazel run` runs them: with the arguments of the target."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.registry.local_registry import LocalRegistry

pytest_plugins = ["tests.registry.fixture"]

LAYOUT = "tests/registry/image"


def run(variable: str, home: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {"HOME": str(home), "PATH": os.environ["PATH"]}
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

    assert done.returncode == 5, done.stderr
    assert "neither podman nor docker is on the PATH" in done.stderr
