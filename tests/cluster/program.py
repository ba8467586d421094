"""Finds kubectl, for tests."""

import os
import platform
import shutil
from pathlib import Path

import pytest


def kubectl_program() -> str:
    """Return kubectl of the target's environment, or of the PATH; skip the test if there is none."""
    named = os.environ.get("KUBECTL")
    if named and (platform.system(), platform.machine()) == ("Linux", "x86_64"):
        return str(Path(named).resolve())
    found = shutil.which("kubectl")
    if found is None:
        pytest.skip("kubectl is not installed here, and the package with it is for Linux on x86-64")
    return found
