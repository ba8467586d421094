from pathlib import Path

import pytest

from runtime.sample_prefix import PYTHON, SITE_PACKAGES, SamplePrefix
from runtime.shells import Outcome
from runtime.user_venv.preparation import prepare
from runtime.user_venv.sample_venv import install_into, make_venv, python_of
from runtime.user_venv.shared import shared_packages

pytest_plugins = ["runtime.fixtures"]


@pytest.fixture
def shared_base(own_prefix: SamplePrefix) -> Path:
    """Return an environment whose packages have no __init__.py, an empty one, or one with code."""
    base = own_prefix.root / "monobase" / "g00002" / f"python{PYTHON}-torch2.4.1-cpu"
    packages = base / SITE_PACKAGES
    install_into(packages, "nvidia_a", {"nvidia/__init__.py": "", "nvidia/a/__init__.py": "v = 'base'\n"})
    install_into(packages, "nvidia_b", {"nvidia/__init__.py": "", "nvidia/b/__init__.py": "v = 'base'\n"})
    install_into(packages, "google_x", {"google/cloud/x/__init__.py": "v = 'base'\n"})
    install_into(packages, "google_y", {"google/cloud/y.py": "v = 'base'\n"})
    install_into(packages, "solid", {"solid/__init__.py": "v = 1\n", "solid/below.py": ""})
    return base


def test_which_packages_are_shared(shared_base: Path) -> None:
    found = shared_packages(shared_base / SITE_PACKAGES)

    assert found == ["google", "google.cloud", "nvidia"]


@pytest.mark.parametrize("init", ["nvidia/__init__.py", None], ids=["regular", "namespace"])
@pytest.mark.parametrize("installed_first", [True, False])
def test_both_parts_of_a_shared_package_are_found(
    shared_base: Path, venv: Path, init: str | None, installed_first: bool
) -> None:
    make_venv(venv)
    if not installed_first:
        prepare(venv, shared_base)
    files = {"nvidia/b/__init__.py": "v = 'mine'\n", "nvidia/c.py": "v = 'mine'\n"}
    files |= {"google/__init__.py": "", "google/cloud/__init__.py": "", "google/cloud/z.py": "v = 'mine'\n"}
    if init:
        files[init] = "here = True\n"
    install_into(venv / SITE_PACKAGES, "mine", files)
    prepare(venv, shared_base)
    code = (
        "import nvidia.a, nvidia.b, nvidia.c, google.cloud.x, google.cloud.y, google.cloud.z, torch\n"
        "print(nvidia.a.v, nvidia.b.v, nvidia.c.v, google.cloud.x.v, google.cloud.y.v, google.cloud.z.v)"
    )
    expected = Outcome(0, "base mine mine base base mine\n", "")

    assert python_of(venv, code) == expected
    assert python_of(venv, code, "-I") == expected
    in_child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {code!r}], check=True)"
    assert python_of(venv, in_child) == expected


def test_a_package_that_is_one_distributions_own_hides_the_other_as_a_whole(
    shared_base: Path, venv: Path
) -> None:
    make_venv(venv)
    install_into(venv / SITE_PACKAGES, "solid", {"solid/__init__.py": "v = 2\n"})
    prepare(venv, shared_base)

    outcome = python_of(venv, "import solid; print(solid.v, len(solid.__path__)); import solid.below")

    assert outcome.stdout == "2 1\n"
    assert "No module named 'solid.below'" in outcome.stderr
