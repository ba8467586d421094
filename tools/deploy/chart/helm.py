"""Runs the real Helm, for tests."""

import os
import platform
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml


def helm(*arguments: str, directory: Path) -> subprocess.CompletedProcess[str]:
    """Run Helm, without the configuration of a user; skip the test where it does not run.

    Args:
        *arguments: Its arguments.
        directory: An empty folder of the test, for its configuration and its cache.
    """
    return subprocess.run(
        [_program(), *arguments],
        env={"HOME": str(directory), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def helm_template(
    chart: Path, values: dict[str, Any], directory: Path, *arguments: str
) -> list[dict[str, Any]]:
    """Return the objects that Helm renders.

    Args:
        chart: The archive.
        values: The values that are not the defaults.
        directory: A folder of the test.
        *arguments: Further arguments of `helm template`.

    Raises:
        AssertionError: Helm refuses the chart or the values.
    """
    file = directory / "helm-values.yaml"
    file.write_text(yaml.safe_dump(values))
    done = helm("template", "monobase", str(chart), "--values", str(file), *arguments, directory=directory)
    assert done.returncode == 0, done.stderr  # noqa: S101 (of a test)
    return [manifest for manifest in yaml.safe_load_all(done.stdout) if manifest]


def _program() -> str:
    """Return Helm of the environment (set by the target), or of the PATH."""
    named = os.environ.get("HELM")
    if named and (platform.system(), platform.machine()) == ("Linux", "x86_64"):
        return str(Path(named).resolve())
    found = shutil.which("helm")
    if found is None:
        pytest.skip("Helm is not installed here, and the package with it is for Linux on x86-64")
    return found
